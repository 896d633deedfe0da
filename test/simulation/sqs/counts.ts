import type { Clock } from '../../../operator/ports.ts';

interface Figures {
  readonly visible: number;
  readonly inFlight: number;
}

/** SQS's approximate counts: what was true some time ago, never the future. */
export class Counts {
  readonly #clock: Clock;
  readonly #lagMs: number;
  readonly #past: { readonly atMs: number; readonly figures: Figures }[] = [];

  constructor(clock: Clock, lagMs: number) {
    this.#clock = clock;
    this.#lagMs = lagMs;
  }

  /** Remembers what is true now. */
  note(figures: () => Figures): void {
    if (this.#lagMs > 0) this.#past.push({ atMs: this.#clock.now(), figures: figures() });
  }

  /** The figures as they were `lagMs` ago, if they have changed since. */
  read(now: Figures): Figures {
    if (this.#lagMs === 0) return now;
    this.note(() => now);
    const asOfMs = this.#clock.now() - this.#lagMs;
    while ((this.#past[1]?.atMs ?? Number.POSITIVE_INFINITY) <= asOfMs) this.#past.shift();
    return this.#past[0]?.figures ?? now;
  }
}
