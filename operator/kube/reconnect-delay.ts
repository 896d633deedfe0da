import type { Random } from '../ports.ts';

const BASE_MS = 800;
const CAP_MS = 30_000;

/**
 * Delays between attempts that keep failing: 0.8 s, 1.6 s … 30 s (client-go's reflector has the same), each between half
 * of the step and all of it, so that clients that lost the same server do not come back together.
 */
export class ReconnectDelay {
  readonly #random: Random;
  #attempts = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  /** How long to wait now, in milliseconds; the next call answers with more. */
  nextMs(): number {
    const step = Math.min(CAP_MS, BASE_MS * 2 ** this.#attempts);
    this.#attempts += 1;
    return Math.round(step * (0.5 + this.#random() / 2));
  }

  /** The next delay is the shortest again. */
  reset(): void {
    this.#attempts = 0;
  }
}
