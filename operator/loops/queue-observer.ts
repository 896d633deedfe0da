import { isSameJson } from '../api/json.ts';
import { deadLetterUrl } from '../api/queue-url.ts';
import { hasCode, messageOf, OperatorError } from '../errors.ts';
import type { Pace } from '../plan/plan.ts';
import { type QueueReader, readerKey } from '../plan/queue-reader.ts';
import type { DeadLetterQueue, QueueAttributes, QueueObservation } from '../plan/snapshot.ts';
import type { Clock, Log, Random } from '../ports.ts';
import type { MessageQueue } from '../world.ts';

/** How often counts are read while messages move, in milliseconds. */
const BUSY_PERIOD_MS = 5_000;
/** At rest, one attribute read per queue and minute: whatever changes about it, rights included, is told within that. */
const REST_PERIOD_MS = 60_000;
/** While nothing is received, its share of requests is free: people look at a suspended queue to see it fill. */
const UNPOLLED_PERIOD_MS = 15_000;
/** So many failures that may pass make a queue unreachable; fewer are a hiccup, not worth a condition that flaps. */
const FAILURES_BEFORE_UNREACHABLE = 3;
/** How long after the last sign of work the queue counts as busy. */
const BUSY_FOR_MS = 120_000;
/** How often at least the observation is told, also when it stays the same, in milliseconds. */
const TELL_PERIOD_MS = 60_000;
const MIN_RETRY_MS = 1_000;
/** Recovery is noticed within a minute. */
const MAX_RETRY_MS = 45_000;

export interface QueueObserverOptions {
  readonly queue: MessageQueue;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** The observation has changed; or it is time for somebody to look again at everything. */
  readonly onChange: () => void;
}

/** Reads a queue's attributes and its dead-letter queue's depth. What it reads is for people; nothing is decided by counts. */
export class QueueObserver {
  readonly #options: QueueObserverOptions;
  #reader: QueueReader | undefined;
  #observation: QueueObservation = { kind: 'unknown' };
  #busyUntilMs = 0;
  #pace: Pace = 'polling';
  #failures = 0;
  /** Raised with every change of reader: an answer to the old one is dropped. */
  #generation = 0;
  #toldAtMs = Number.NEGATIVE_INFINITY;
  #cancelTimer: (() => void) | undefined;

  constructor(options: QueueObserverOptions) {
    this.#options = options;
  }

  observation(): QueueObservation {
    return this.#observation;
  }

  /** Observes the queue of this reader from now on; undefined stops. The same again changes nothing. */
  watch(reader: QueueReader | undefined): void {
    if ((reader && readerKey(reader)) === (this.#reader && readerKey(this.#reader))) return;
    this.#reader = reader;
    this.#generation += 1;
    this.#failures = 0;
    this.#observation = { kind: 'unknown' };
    this.#cancelTimer?.();
    if (reader) void this.#observe(this.#generation);
  }

  /** How the queue is occupied from now on; decides how often it is looked at. */
  setPace(pace: Pace): void {
    const slower = pace === this.#pace || pace === 'polling';
    this.#pace = pace;
    if (pace === 'working') this.stir();
    else if (!slower && this.#observation.kind === 'reachable') this.#schedule(this.#period());
  }

  /** Messages move: read the counts more often for a while. */
  stir(): void {
    const wasAtRest = this.#options.clock.now() >= this.#busyUntilMs;
    this.#busyUntilMs = this.#options.clock.now() + BUSY_FOR_MS;
    if (wasAtRest && this.#observation.kind === 'reachable') this.#schedule(BUSY_PERIOD_MS);
  }

  async #observe(generation: number): Promise<void> {
    const reader = this.#reader;
    if (!reader || generation !== this.#generation) return;
    let next: QueueObservation;
    try {
      next = await this.#read(reader);
      this.#failures = 0;
    } catch (error) {
      this.#failures += 1;
      next = this.#afterFailure(error);
      this.#options.log.warn({ error: messageOf(error) }, 'queue attributes could not be read');
    }
    if (generation !== this.#generation) return;
    const isNews = !isSame(next, this.#observation);
    this.#observation = next;
    this.#schedule(this.#period());
    const nowMs = this.#options.clock.now();
    if (!isNews && nowMs < this.#toldAtMs + TELL_PERIOD_MS) return;
    this.#toldAtMs = nowMs;
    this.#options.onChange();
  }

  async #read(reader: QueueReader): Promise<QueueObservation> {
    const attributes = await this.#options.queue.describe(reader);
    const deadLetter = await this.#deadLetters(reader, attributes);
    return { kind: 'reachable', attributes, deadLetter, observedAtMs: this.#options.clock.now() };
  }

  /** The dead-letter queue is only looked at; not being allowed to is no fault of the queue. */
  async #deadLetters(
    reader: QueueReader,
    { deadLetterArn }: QueueAttributes,
  ): Promise<DeadLetterQueue | undefined> {
    if (deadLetterArn === undefined) return undefined;
    try {
      const url = deadLetterUrl(reader.url, deadLetterArn);
      const { visible, retentionSeconds, fifo } = await this.#options.queue.describe({ ...reader, url });
      return { kind: 'seen', visible, retentionSeconds, fifo };
    } catch (error) {
      this.#options.log.debug({ error: messageOf(error) }, 'dead-letter queue could not be read');
      return { kind: hasCode(error, 'QueueNotFound') ? 'missing' : 'unseen' };
    }
  }

  #period(): number {
    if (this.#failures > 0) {
      const ceiling = Math.min(MAX_RETRY_MS, MIN_RETRY_MS * 2 ** Math.min(this.#failures, 10));
      return ceiling * (0.5 + this.#options.random() / 2);
    }
    if (this.#options.clock.now() < this.#busyUntilMs) return BUSY_PERIOD_MS;
    return this.#pace === 'waiting' ? UNPOLLED_PERIOD_MS : REST_PERIOD_MS;
  }

  #afterFailure(error: unknown): QueueObservation {
    const mayPass = !(error instanceof OperatorError) || error.verdict === 'retry';
    const isHiccup = mayPass && this.#failures < FAILURES_BEFORE_UNREACHABLE;
    if (isHiccup && this.#observation.kind === 'reachable') return this.#observation;
    const reason = error instanceof OperatorError ? error.code : 'QueueUnreachable';
    return { kind: 'unreachable', reason, message: messageOf(error) };
  }

  #schedule(delayMs: number): void {
    const generation = this.#generation;
    this.#cancelTimer?.();
    this.#cancelTimer = this.#options.clock.after(delayMs, () => void this.#observe(generation));
  }
}

/** True for observations that differ in their time alone. */
function isSame(a: QueueObservation, b: QueueObservation): boolean {
  return isSameJson({ ...a, observedAtMs: 0 }, { ...b, observedAtMs: 0 });
}
