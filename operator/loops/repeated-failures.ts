import { hasCode } from '../errors.ts';
import type { Clock } from '../ports.ts';

/** So often in a row an action is tried again whenever a turn comes. */
const TRIES_AT_ONCE = 5;
/** After that it is tried no more often than this, in milliseconds. */
const PAUSE_MS = 1_000;
/** Longer than any backoff of the work queue, in milliseconds. */
const FORGET_MS = 300_000;

interface Failure {
  readonly error: unknown;
  readonly times: number;
  readonly atMs: number;
}

/**
 * What has failed again and again. The work queue's backoff does not keep it from being tried: in a burst of Jobs each
 * change brings a turn, and every turn would ask SQS or the API server once more. Crash: a new process tries at once.
 */
export class RepeatedFailures {
  readonly #clock: Clock;
  readonly #failures = new Map<string, Failure>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Does it, or rejects with the last error when it has failed five times in a row, and less than a second ago. */
  async try(what: string, work: () => Promise<void>): Promise<void> {
    const last = this.#failures.get(what);
    const nowMs = this.#clock.now();
    if (last && last.times >= TRIES_AT_ONCE && nowMs < last.atMs + PAUSE_MS) throw last.error;
    try {
      await work();
      this.#failures.delete(what);
    } catch (error) {
      // Nothing was tried.
      if (hasCode(error, 'NotLeader')) throw error;
      const atMs = this.#clock.now();
      this.#failures.set(what, { error, times: (last?.times ?? 0) + 1, atMs });
      this.#forgetOld(atMs);
      throw error;
    }
  }

  /** What was not tried for long is not planned any more. */
  #forgetOld(nowMs: number): void {
    for (const [what, { atMs }] of this.#failures) if (atMs < nowMs - FORGET_MS) this.#failures.delete(what);
  }
}
