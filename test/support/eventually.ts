import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';

/** How often the world is looked at, in milliseconds. */
const PERIOD_MS = 100;
const DEFAULT_TIMEOUT_MS = 40_000;

export interface Wait {
  /** Milliseconds; default 40,000: many times what an idle machine needs. */
  readonly timeoutMs?: number;
  /** What is waited for, for the error. */
  readonly what?: string;
}

/**
 * Reads until `accept` returns something other than undefined or false, and returns what was read then. Throws at the
 * timeout with what it saw last. A read that throws is an answer that will not do.
 */
export async function eventually<T>(
  read: () => T | Promise<T>,
  accept: (value: T) => boolean,
  { timeoutMs = DEFAULT_TIMEOUT_MS, what = 'the condition' }: Wait = {},
): Promise<T> {
  const endMs = Date.now() + timeoutMs;
  for (;;) {
    const seen = await attempt(read);
    if (seen.ok && accept(seen.value)) return seen.value;
    if (Date.now() >= endMs) {
      const last = seen.ok ? JSON.stringify(seen.value, undefined, 1) : String(seen.error);
      throw new Error(`${what} did not come true within ${timeoutMs} ms; last seen: ${last}`);
    }
    await delay(PERIOD_MS);
  }
}

/** `eventually` equal to `wanted`. */
export async function eventuallyEqual<T>(
  read: () => T | Promise<T>,
  wanted: T,
  wait: Wait = {},
): Promise<void> {
  const what = wait.what ?? `a value equal to ${JSON.stringify(wanted)}`;
  await eventually(read, (value) => isDeepStrictEqual(value, wanted), { ...wait, what });
}

/** Looks again and again for `durationMs` and throws as soon as it does not hold; for what must *not* happen. */
export async function holdsFor<T>(
  durationMs: number,
  read: () => T | Promise<T>,
  accept: (value: T) => boolean,
): Promise<void> {
  const endMs = Date.now() + durationMs;
  let looks = 0;
  while (Date.now() < endMs || looks < 2) {
    const value = await read();
    looks += 1;
    if (!accept(value)) throw new Error(`it stopped holding: ${JSON.stringify(value, undefined, 1)}`);
    await delay(PERIOD_MS);
  }
}

type Seen<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: unknown };

async function attempt<T>(read: () => T | Promise<T>): Promise<Seen<T>> {
  try {
    return { ok: true, value: await read() };
  } catch (error) {
    return { ok: false, error };
  }
}
