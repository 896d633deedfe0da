import type { ClaimAction } from '../plan/plan.ts';

/** How many creates of one BatchQueue are sent at once. */
const PARALLEL_CLAIMS = 48;

/**
 * The Jobs of one BatchQueue that are being created. A turn may end before they are, so that one create without an answer
 * keeps no other message waiting; the next plan leaves their messages alone. Crash: as in `claim`.
 */
export class ClaimsUnderWay {
  /** By Job name: those that wait for their turn as well. */
  readonly #actions = new Map<string, ClaimAction>();
  readonly #waiting: (() => void)[] = [];
  #running = 0;
  #failures: unknown[] = [];
  #idle = Promise.withResolvers<void>();

  /** Begins it, or has it wait until fewer are sent. `carryOut` may reject: that is kept for `takeFailures`. */
  start(action: ClaimAction, carryOut: () => Promise<void>): void {
    this.#actions.set(action.job.metadata.name, action);
    this.#waiting.push(() => void this.#run(action, carryOut));
    this.#next();
  }

  actions(): readonly ClaimAction[] {
    return [...this.#actions.values()];
  }

  isIdle(): boolean {
    return this.#actions.size === 0;
  }

  /** Why creates have failed since this was last asked. */
  takeFailures(): readonly unknown[] {
    const failures = this.#failures;
    this.#failures = [];
    return failures;
  }

  /** Resolves when none is under way. */
  async untilIdle(): Promise<void> {
    if (!this.isIdle()) await this.#idle.promise;
  }

  #next(): void {
    while (this.#running < PARALLEL_CLAIMS) {
      const begin = this.#waiting.shift();
      if (!begin) return;
      this.#running += 1;
      begin();
    }
  }

  async #run(action: ClaimAction, carryOut: () => Promise<void>): Promise<void> {
    await carryOut().catch((error: unknown) => this.#failures.push(error));
    this.#running -= 1;
    this.#actions.delete(action.job.metadata.name);
    this.#next();
    if (!this.isIdle()) return;
    this.#idle.resolve();
    this.#idle = Promise.withResolvers();
  }
}
