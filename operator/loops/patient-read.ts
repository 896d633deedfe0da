import type { Clock } from '../ports.ts';

/** How long a turn waits for an answer, in milliseconds. */
const PATIENCE_MS = 1_000;

export interface PatientReadOptions {
  readonly clock: Clock;
  /** An answer has come that nobody waited for any more: it is there for whoever asks next. */
  readonly onLate: () => void;
}

/** One read of the API server at a time, for which turns wait a moment only: one without an answer holds up nothing else. */
export class PatientRead<T> {
  readonly #options: PatientReadOptions;
  #isUnderWay = false;
  #late: T | undefined;

  constructor(options: PatientReadOptions) {
    this.#options = options;
  }

  /**
   * The answer of an earlier read that came too late, or else of this one; undefined when that takes longer than a second, and
   * while an earlier one is under way. `read` must not reject.
   */
  async read(read: () => Promise<T>): Promise<T | undefined> {
    const late = this.#late;
    this.#late = undefined;
    if (late !== undefined || this.#isUnderWay) return late;
    this.#isUnderWay = true;
    const patience = Promise.withResolvers<undefined>();
    let isLate = false;
    const cancel = this.#options.clock.after(PATIENCE_MS, () => {
      isLate = true;
      patience.resolve(undefined);
    });
    const reading = read().then((answer) => {
      this.#isUnderWay = false;
      cancel();
      if (!isLate) return answer;
      this.#late = answer;
      this.#options.onLate();
      return undefined;
    });
    return await Promise.race([reading, patience.promise]);
  }
}
