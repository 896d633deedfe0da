import { FIELD_MANAGER } from '../api/names.ts';
import { hasCode, messageOf, OperatorError } from '../errors.ts';
import type { Clock, Log } from '../ports.ts';
import { EVENTS } from '../world.ts';
import {
  buildEvent,
  buildSeriesPatch,
  type EventInput,
  type EventSeries,
  eventAddressOf,
  seriesKeyOf,
} from './event-series.ts';
import type { RestClient } from './rest-client.ts';
import { TokenBucket } from './token-bucket.ts';

/** Writes per object and type: 25 at once, then one per 10 s (client-go drops after 25 plus one per 5 min; we only wait). */
const BURST = 25;
const REFILL_MS = 10_000;
/** A repetition after a longer rest is a new event: the server forgets events after an hour. client-go: 6 min. */
const SERIES_GAP_MS = 6 * 60_000;
const SERIES_MAX = 1000;
const WAITING_MAX = 1000;
const BUCKETS_MAX = 1000;
const WRITE_TIMEOUT_MS = 5000;
const FAILURES_MAX = 3;

export interface EventRecorderOptions {
  readonly client: Pick<RestClient, 'create' | 'patch'>;
  readonly clock: Clock;
  readonly log: Log;
  /** Which operator tells it, as the pod's name; default the field manager's name. */
  readonly instance?: string;
}

/**
 * Tells users what has happened, as Kubernetes Events. Equal events (object, type, reason, note) are one object whose
 * series counts; a storm of them costs at most the token bucket of its object and type, and no count is lost by waiting, as the
 * next write carries the sum. `record` only notes; writing goes on beside it, one call at a time. Events are best
 * effort: refused ones are dropped, of lost calls three are tried again, and a crash loses what was not written yet.
 */
export class EventRecorder {
  readonly #options: EventRecorderOptions;
  readonly #instance: string;
  /** The latest series of each key, the least recently repeated first. */
  readonly #series = new Map<string, EventSeries>();
  /** Series whose count the server does not have yet. */
  readonly #waiting = new Set<EventSeries>();
  readonly #buckets = new Map<string, TokenBucket>();
  #writing: Promise<void> | undefined;
  #cancelTimer: (() => void) | undefined;
  #dropped = 0;

  constructor(options: EventRecorderOptions) {
    this.#options = options;
    this.#instance = options.instance ?? FIELD_MANAGER;
  }

  /** Returns at once and never throws. */
  record(input: EventInput): void {
    const series = this.#seriesOf(input);
    if (!this.#waiting.has(series) && this.#waiting.size >= WAITING_MAX) {
      this.#dropped += 1;
      return;
    }
    series.count += 1;
    series.lastAt = this.#options.clock.now();
    this.#waiting.add(series);
    // What has no token waits for one; a storm must cost nothing more than being counted.
    if (this.#bucketOf(series).has()) this.#write();
    else if (!this.#cancelTimer) this.#writeLater();
  }

  /** Writes what waits, without regard to buckets, once; stops at the first call that gets no answer (5 s). Never throws. */
  async flush(): Promise<void> {
    await this.#writing;
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    await this.#pass(() => true);
  }

  #seriesOf(input: EventInput): EventSeries {
    const key = seriesKeyOf(input);
    const now = this.#options.clock.now();
    const known = this.#series.get(key);
    this.#series.delete(key);
    const isContinued = known !== undefined && now - known.lastAt <= SERIES_GAP_MS;
    const series = isContinued
      ? known
      : { input, firstAt: now, lastAt: now, count: 0, writtenCount: 0, failures: 0 };
    this.#series.set(key, series);
    const [oldest] = this.#series.keys();
    if (this.#series.size > SERIES_MAX && oldest !== undefined) this.#series.delete(oldest);
    return series;
  }

  #write(): void {
    this.#writing ??= this.#writeWaiting().finally(() => {
      this.#writing = undefined;
    });
  }

  async #writeWaiting(): Promise<void> {
    // The caller of `record` must not pay for building the first event.
    await Promise.resolve();
    let isReachable = true;
    while (isReachable && this.#hasWritable())
      isReachable = await this.#pass((series) => this.#bucketOf(series).take());
    this.#reportDropped();
    if (this.#waiting.size > 0) this.#writeLater();
  }

  #writeLater(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = this.#options.clock.after(REFILL_MS, () => {
      this.#cancelTimer = undefined;
      this.#write();
    });
  }

  #hasWritable(): boolean {
    return [...this.#waiting].some((series) => this.#bucketOf(series).has());
  }

  /** Writes each waiting series that is allowed, once. False when the server did not answer: the others wait too. */
  async #pass(isAllowed: (series: EventSeries) => boolean): Promise<boolean> {
    // A copy: what fails is put back, for a later pass.
    const waiting = Array.from(this.#waiting);
    for (const series of waiting) {
      if (!isAllowed(series)) continue;
      this.#waiting.delete(series);
      if (!(await this.#writeOne(series))) return false;
    }
    return true;
  }

  async #writeOne(series: EventSeries): Promise<boolean> {
    const { count } = series;
    try {
      await this.#send(series);
      series.writtenCount = count;
      series.failures = 0;
      return true;
    } catch (error) {
      return this.#failed(series, error);
    }
  }

  async #send(series: EventSeries): Promise<void> {
    const { client } = this.#options;
    const { namespace, name } = eventAddressOf(series);
    if (series.writtenCount === 0) {
      await client.create(EVENTS, namespace, buildEvent(series, this.#instance), {
        timeoutMs: WRITE_TIMEOUT_MS,
      });
      return;
    }
    const options = { type: 'merge', timeoutMs: WRITE_TIMEOUT_MS } as const;
    await client.patch(EVENTS, namespace, name, buildSeriesPatch(series), options);
  }

  /** Returns whether the server still answers. */
  #failed(series: EventSeries, error: unknown): boolean {
    const isLost = error instanceof OperatorError && error.verdict === 'retry';
    series.failures += 1;
    if (hasCode(error, 'AlreadyExists')) series.writtenCount = 1;
    if (hasCode(error, 'NotFound')) series.writtenCount = 0;
    // An earlier answer was lost, or the server has forgotten the event: both can be mended.
    const isWorthIt = isLost || hasCode(error, 'AlreadyExists') || hasCode(error, 'NotFound');
    if (!isWorthIt || series.failures > FAILURES_MAX) this.#logDropped(series, error);
    else if (series.count > series.writtenCount) this.#waiting.add(series);
    return !isLost;
  }

  #logDropped(series: EventSeries, error: unknown): void {
    const { reason, regarding } = series.input;
    const fields = { reason, namespace: regarding.namespace, name: regarding.name, error: messageOf(error) };
    this.#options.log.warn(fields, 'event was not recorded');
  }

  #reportDropped(): void {
    if (this.#dropped === 0) return;
    this.#options.log.warn({ dropped: this.#dropped }, 'too many events at once, some were not recorded');
    this.#dropped = 0;
  }

  #bucketOf(series: EventSeries): TokenBucket {
    // A flood of ordinary events must not hold back a warning, so each type has tokens of its own.
    const key = `${series.input.type} ${series.input.regarding.uid}`;
    const known = this.#buckets.get(key);
    if (known !== undefined) return known;
    const bucket = new TokenBucket({ clock: this.#options.clock, burst: BURST, refillMs: REFILL_MS });
    this.#buckets.set(key, bucket);
    const [oldest] = this.#buckets.keys();
    if (this.#buckets.size > BUCKETS_MAX && oldest !== undefined) this.#buckets.delete(oldest);
    return bucket;
  }
}
