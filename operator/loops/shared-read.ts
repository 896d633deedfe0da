import type { Clock } from '../ports.ts';

/**
 * One read for everybody who is content with its age: what is the same for every BatchQueue is not read once for each. A read
 * that fails is not kept.
 */
export class SharedRead<T> {
  readonly #read: () => Promise<T>;
  readonly #clock: Clock;
  #last: { readonly atMs: number; readonly value: Promise<T> } | undefined;

  constructor(read: () => Promise<T>, clock: Clock) {
    this.#read = read;
    this.#clock = clock;
  }

  /** What was read by somebody, no longer than `maxAgeMs` ago, or is read now; rejects as the read does. */
  get(maxAgeMs: number): Promise<T> {
    const nowMs = this.#clock.now();
    if (this.#last && nowMs - this.#last.atMs < maxAgeMs) return this.#last.value;
    const value = this.#read();
    const last = { atMs: nowMs, value };
    this.#last = last;
    value.catch(() => {
      if (this.#last === last) this.#last = undefined;
    });
    return value;
  }
}
