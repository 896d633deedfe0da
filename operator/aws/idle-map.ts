import type { Clock } from '../ports.ts';

/** Unused for so long is no longer needed, in milliseconds: a queue that is read is asked three times a minute. */
const IDLE_MS = 900_000;
const SWEEP_PERIOD_MS = 300_000;

interface Entry<T> {
  readonly value: T;
  usedAtMs: number;
}

/** Things made when first needed and forgotten a while after they last were. No timer is left once it is empty. */
export class IdleMap<T> {
  readonly #clock: Clock;
  readonly #entries = new Map<string, Entry<T>>();
  #cancelSweep: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The one of this key; `make` makes it if there is none. */
  use(key: string, make: () => T): T {
    const usedAtMs = this.#clock.now();
    const known = this.#entries.get(key);
    if (known) {
      known.usedAtMs = usedAtMs;
      return known.value;
    }
    const value = make();
    this.#entries.set(key, { value, usedAtMs });
    this.#sweepLater();
    return value;
  }

  /** Forgets all of them at once. */
  clear(): void {
    this.#cancelSweep?.();
    this.#cancelSweep = undefined;
    this.#entries.clear();
  }

  #sweepLater(): void {
    this.#cancelSweep ??= this.#clock.after(SWEEP_PERIOD_MS, () => {
      this.#cancelSweep = undefined;
      const idleSinceMs = this.#clock.now() - IDLE_MS;
      for (const [key, { usedAtMs }] of this.#entries) if (usedAtMs < idleSinceMs) this.#entries.delete(key);
      if (this.#entries.size > 0) this.#sweepLater();
    });
  }
}
