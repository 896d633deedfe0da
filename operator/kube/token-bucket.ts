import type { Clock } from '../ports.ts';

export interface TokenBucketOptions {
  readonly clock: Clock;
  /** How many tokens a full bucket has; a new bucket is full. */
  readonly burst: number;
  /** One token comes back after so many milliseconds. */
  readonly refillMs: number;
}

/** Allows `burst` at once and one per `refillMs` in the long run. */
export class TokenBucket {
  readonly #options: TokenBucketOptions;
  #tokens: number;
  #countedAt: number;

  constructor(options: TokenBucketOptions) {
    this.#options = options;
    this.#tokens = options.burst;
    this.#countedAt = options.clock.now();
  }

  /** Takes a token, if there is one. */
  take(): boolean {
    if (!this.has()) return false;
    this.#tokens -= 1;
    return true;
  }

  has(): boolean {
    this.#refill();
    return this.#tokens >= 1;
  }

  #refill(): void {
    const { clock, burst, refillMs } = this.#options;
    const now = clock.now();
    // A clock that was set back gives nothing and takes nothing.
    const elapsedMs = Math.max(0, now - this.#countedAt);
    this.#tokens = Math.min(burst, this.#tokens + elapsedMs / refillMs);
    this.#countedAt = now;
  }
}
