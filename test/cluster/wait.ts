/** Waiting for a condition of the outside world, with a bound. */
import { setTimeout as delay } from 'node:timers/promises';

export interface WaitOptions {
  /** Completes the sentence "... did not happen within N s". */
  readonly what: string;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** Pause between two looks: short against the seconds that a cluster takes, long against the cost of a look. */
const PAUSE_MS = 50;

/**
 * Calls `look` until it returns something other than undefined or false, and returns that. An error thrown by `look`
 * means "not yet"; the last one is the cause of the timeout error. Throws on timeout and on abort.
 */
export async function waitFor<T>(
  look: () => Promise<T | undefined | false>,
  options: WaitOptions,
): Promise<T> {
  const deadline = performance.now() + options.timeoutMs;
  let lastError: unknown;
  for (;;) {
    options.signal?.throwIfAborted();
    try {
      const seen = await look();
      if (seen !== undefined && seen !== false) return seen;
    } catch (error) {
      lastError = error;
    }
    if (performance.now() > deadline)
      throw new Error(`${options.what} did not happen within ${options.timeoutMs / 1000} s`, {
        cause: lastError,
      });
    await delay(PAUSE_MS);
  }
}
