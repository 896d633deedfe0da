import { messageOf, OperatorError, retryAfterMsOf } from '../errors.ts';
import type { Clock, Log, Random } from '../ports.ts';

/** Retry delays after a failed turn, as long as the key keeps failing: 50 ms, 100 ms … 60 s. */
const BACKOFF_BASE_MS = 50;
const BACKOFF_CAP_MS = 60_000;

/**
 * Shortest time from the end of a turn to the next one of the same key. A turn looks at everything its key has, so a
 * burst of changes is best looked at together; one that comes alone waits for nothing.
 */
const REST_MS = 25;

/** What a turn may ask for; undefined means that the key rests until somebody adds it. */
export interface TurnResult {
  /** Another turn after this many milliseconds, also when nothing changes. */
  readonly requeueAfterMs?: number;
}

export interface WorkQueueOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** How many keys may have a turn at the same time; one key never has two. */
  readonly concurrency: number;
  /** One turn. A throw is a failed turn: logged here, tried again with backoff. */
  readonly process: (key: string) => Promise<TurnResult | void>;
}

interface Delayed {
  readonly dueAt: number;
  readonly cancel: () => void;
}

/**
 * Keys that need a turn: each at most once in line, never two turns of one key at a time, and every `add` is followed by
 * a turn that *begins* after it. Nothing is stored about what changed: a turn reads the world.
 *
 * A key is in up to three places, as in client-go's work queue:
 *
 *     add ──► waiting (dirty) ──► running ──► resting ──► done
 *                 ▲                 │           │ add during the turn or the rest: dirty again, waits for the end of it
 *                 └─────────────────┴───────────┘ throw: delayed by backoff; `requeueAfterMs`: delayed by that
 *     addAfter ──► delayed (one timer per key, the earliest wins) ──► add
 *
 * A server that named a time to come back is not asked earlier: until then a key that failed with it gets no turn,
 * whoever adds it.
 *
 * Crash: nothing in here is durable, nor needs to be; the first list after a restart adds every key.
 */
export class WorkQueue {
  readonly #options: WorkQueueOptions;
  /** Keys in line, in order of arrival; disjoint from `#running`. */
  readonly #waiting = new Set<string>();
  readonly #running = new Map<string, Promise<void>>();
  /** Keys that have had their turn just now, with what cancels the end of their rest. */
  readonly #resting = new Map<string, () => void>();
  /** Keys added during their own turn, or the rest after it. */
  readonly #dirty = new Set<string>();
  readonly #delayed = new Map<string, Delayed>();
  readonly #failures = new Map<string, number>();
  /** Until when (clock ms) keys get no turn. */
  readonly #heldUntil = new Map<string, number>();
  #state: 'new' | 'started' | 'stopped' = 'new';

  constructor(options: WorkQueueOptions) {
    this.#options = options;
  }

  /** Begins to take turns; what was added before is in line already. */
  start(): void {
    if (this.#state !== 'new') return;
    this.#state = 'started';
    this.#dispatch();
  }

  /** Starts no further turn and resolves when the running ones have ended. Later adds are ignored. Idempotent. */
  async stop(): Promise<void> {
    this.#state = 'stopped';
    for (const { cancel } of this.#delayed.values()) cancel();
    this.#delayed.clear();
    for (const cancel of this.#resting.values()) cancel();
    this.#resting.clear();
    this.#waiting.clear();
    this.#dirty.clear();
    this.#heldUntil.clear();
    await Promise.all(this.#running.values());
  }

  add(key: string): void {
    if (this.#state === 'stopped') return;
    if (this.#running.has(key) || this.#resting.has(key)) {
      this.#dirty.add(key);
      return;
    }
    const heldMs = this.#heldForMs(key);
    if (heldMs > 0) {
      this.addAfter(key, heldMs);
      return;
    }
    this.#waiting.add(key);
    this.#dispatch();
  }

  /**
   * `add` after `delayMs` milliseconds. Of several delays of one key the one that ends first is kept. Also a delay of 0
   * goes by the clock: turns that ask for the next one at once must not keep the process from everything else.
   */
  addAfter(key: string, delayMs: number): void {
    if (this.#state === 'stopped') return;
    const waitMs = Math.max(0, delayMs, this.#heldForMs(key));
    const dueAt = this.#options.clock.now() + waitMs;
    const earlier = this.#delayed.get(key);
    if (earlier !== undefined && earlier.dueAt <= dueAt) return;
    earlier?.cancel();
    const cancel = this.#options.clock.after(waitMs, () => {
      this.#delayed.delete(key);
      this.add(key);
    });
    this.#delayed.set(key, { dueAt, cancel });
  }

  /** Takes back what was to come later for this key; an `add` still counts. */
  forget(key: string): void {
    this.#delayed.get(key)?.cancel();
    this.#delayed.delete(key);
    this.#failures.delete(key);
    this.#heldUntil.delete(key);
  }

  /** True when no key waits or has a turn; delayed keys do not count. */
  isIdle(): boolean {
    return this.#waiting.size === 0 && this.#running.size === 0 && this.#dirty.size === 0;
  }

  /** How many keys wait for a turn, without running and delayed ones. */
  depth(): number {
    return this.#waiting.size + this.#dirty.size;
  }

  #dispatch(): void {
    if (this.#state !== 'started') return;
    for (const key of this.#waiting) {
      if (this.#running.size >= this.#options.concurrency) return;
      this.#waiting.delete(key);
      this.#running.set(key, this.#turn(key));
    }
  }

  async #turn(key: string): Promise<void> {
    // The caller of `add` must not find itself inside a turn.
    await Promise.resolve();
    try {
      const result = await this.#options.process(key);
      this.#failures.delete(key);
      if (result?.requeueAfterMs !== undefined) this.addAfter(key, result.requeueAfterMs);
    } catch (error) {
      this.#failed(key, error);
    }
    this.#running.delete(key);
    this.#rest(key);
    this.#dispatch();
  }

  #rest(key: string): void {
    if (this.#state === 'stopped') return;
    const cancel = this.#options.clock.after(REST_MS, () => {
      this.#resting.delete(key);
      if (this.#dirty.delete(key)) this.add(key);
    });
    this.#resting.set(key, cancel);
  }

  #failed(key: string, error: unknown): void {
    const failures = (this.#failures.get(key) ?? 0) + 1;
    this.#failures.set(key, failures);
    const askedMs = retryAfterMsOf(error);
    const retryInMs = Math.max(this.#backoffMs(failures), askedMs);
    if (askedMs > 0) this.#heldUntil.set(key, this.#options.clock.now() + askedMs);
    const code = error instanceof OperatorError ? error.code : undefined;
    this.#options.log.warn(
      { key, failures, retryInMs, code, error: messageOf(error) },
      'turn failed, will retry',
    );
    this.addAfter(key, retryInMs);
  }

  /** How long a key gets no turn, in milliseconds; 0 or less: it may. */
  #heldForMs(key: string): number {
    const until = this.#heldUntil.get(key);
    if (until === undefined) return 0;
    const leftMs = until - this.#options.clock.now();
    if (leftMs <= 0) this.#heldUntil.delete(key);
    return leftMs;
  }

  /** Between half of the step and all of it, so that keys that failed together do not come back together. */
  #backoffMs(failures: number): number {
    const step = Math.min(BACKOFF_CAP_MS, BACKOFF_BASE_MS * 2 ** (failures - 1));
    return Math.round(step * (0.5 + this.#options.random() / 2));
  }
}
