/** How many actions of one kind and BatchQueue are carried out at once. */
const PARALLEL = 48;

/**
 * What one BatchQueue has begun of one kind of actions, each on a Job of its own. A turn may end before they do, so that
 * one request without an answer keeps no other message waiting; the next plan leaves their Jobs and messages alone.
 * Crash: as in each action.
 */
export class ActionsUnderWay<A> {
  /** By Job name: those that wait for their turn as well. */
  readonly #actions = new Map<string, A>();
  readonly #waiting: (() => void)[] = [];
  #running = 0;
  #failures: unknown[] = [];
  #idle = Promise.withResolvers<void>();

  /** Begins it, or has it wait until fewer are under way. `carryOut` may reject: that is kept for `takeFailures`. */
  start(job: string, action: A, carryOut: () => Promise<void>): void {
    this.#actions.set(job, action);
    this.#waiting.push(() => void this.#run(job, carryOut));
    this.#next();
  }

  actions(): readonly A[] {
    return [...this.#actions.values()];
  }

  /** Names of the Jobs. */
  jobs(): Iterable<string> {
    return this.#actions.keys();
  }

  isIdle(): boolean {
    return this.#actions.size === 0;
  }

  /** Why actions have failed since this was last asked. */
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
    while (this.#running < PARALLEL) {
      const begin = this.#waiting.shift();
      if (!begin) return;
      this.#running += 1;
      begin();
    }
  }

  async #run(job: string, carryOut: () => Promise<void>): Promise<void> {
    await carryOut().catch((error: unknown) => this.#failures.push(error));
    this.#running -= 1;
    this.#actions.delete(job);
    this.#next();
    if (!this.isIdle()) return;
    this.#idle.resolve();
    this.#idle = Promise.withResolvers();
  }
}
