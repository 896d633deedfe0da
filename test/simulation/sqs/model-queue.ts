import type { OperatorError } from '../../../operator/errors.ts';
import type { QueueRef } from '../../../operator/plan/message.ts';
import type { QueueAttributes } from '../../../operator/plan/snapshot.ts';
import type { Clock } from '../../../operator/ports.ts';
import type { DeadLetterCopy, EntryResult, ReceiptEntry, ReceiveOptions } from '../../../operator/world.ts';
import { Counts } from './counts.ts';
import { deliverable } from './delivery.ts';
import { sqsFailure } from './failures.ts';
import { type Place, type Received, received, type StoredMessage } from './stored-message.ts';

const MAX_VISIBILITY_MS = 43_200_000;
const RETENTION_SECONDS = 1_209_600;
/** How long a deduplication id and a receive are remembered. */
const REMEMBERED_MS = 300_000;

export interface ReceiveContext {
  readonly as?: <T>(take: () => T) => T;
  /** SQS's ReceiveRequestAttemptId. */
  readonly attemptId?: string | undefined;
}

export interface ModelQueueOptions {
  readonly clock: Clock;
  readonly queue: QueueRef;
  /** First digits of the ids of its messages, so that no two queues have the same. */
  readonly prefix: string;
  readonly deadLetterArn: string | undefined;
  readonly maxReceiveCount: number | undefined;
  /** How old the counts are that it tells, at most, in milliseconds. */
  readonly countsLagMs: number;
  readonly observer: QueueWatcher;
}

/** What a queue may be asked about one message. */
export type Request = 'delete' | 'release' | 'renew';

/** Told of what happens to messages, at the moment it does. */
export interface QueueWatcher {
  received(
    message: StoredMessage,
    before: { readonly visibleAtMs: number; readonly receivedAtMs: number },
  ): void;
  /** The receive was repeated with its id: whoever did that holds it now. */
  repeated(message: StoredMessage): void;
  deleted(message: StoredMessage): void;
  deadLettered(message: StoredMessage): void;
  /** The dead-letter queue has a copy of it. */
  copied(message: StoredMessage): void;
  /** Asked to delete or to change visibility with this handle, whatever comes of it. */
  asked(what: Request, message: StoredMessage, receiptHandle: string, seconds: number): void;
}

/**
 * One SQS queue with its dead-letter queue, as far as its promises go: visibility timeouts that count from when a message
 * is handed out, receive counts, redelivery, redrive at receive, the ceiling of twelve hours, and counts that lag. Of
 * a message's receipt handles only the newest does anything. On a standard queue calls with older ones succeed without
 * effect, and a visibility that has run out is not reported; a FIFO queue refuses handles that have run out. Everything
 * happens at once; latency and faults are put in front (`operator/queue-link.ts`).
 */
export class ModelQueue {
  readonly ref: QueueRef;
  readonly isFifo: boolean;
  readonly #options: ModelQueueOptions;
  readonly #messages = new Map<string, StoredMessage>();
  readonly #waiting = new Set<() => void>();
  /** Every receipt handle ever given out. */
  readonly #byHandle = new Map<string, StoredMessage>();
  readonly #attempts = new Map<string, { readonly atMs: number; readonly messages: readonly Received[] }>();
  readonly #counts: Counts;
  #handles = 0;

  constructor(options: ModelQueueOptions) {
    this.#options = options;
    this.ref = options.queue;
    this.isFifo = options.queue.arn.endsWith('.fifo');
    this.#counts = new Counts(options.clock, options.countsLagMs);
  }

  /** On a FIFO queue a deduplication id that was used within five minutes stores nothing; then the first one's id is told. */
  send(body: string, groupId?: string, deduplicationId?: string): string {
    const known = deduplicationId === undefined ? undefined : this.#deduplicated(deduplicationId);
    if (known) return known.id;
    const sequence = this.#messages.size + 1;
    const id = `${this.#options.prefix}-0000-4000-8000-${String(sequence).padStart(12, '0')}`;
    const sentAtMs = this.#options.clock.now();
    this.#messages.set(id, {
      id,
      body,
      sentAtMs,
      groupId,
      deduplicationId: deduplicationId ?? id,
      sequence,
      place: 'queue',
      receiveCount: 0,
      visibleAtMs: sentAtMs,
      receiptHandle: undefined,
      receivedAtMs: 0,
      wasDuplicated: false,
      copies: [],
    });
    this.#changed();
    return id;
  }

  messages(): ReadonlyMap<string, StoredMessage> {
    return this.#messages;
  }

  places(): ReadonlyMap<string, Place> {
    return new Map([...this.#messages.values()].map(({ id, place }) => [id, place]));
  }

  receiveCountOf(id: string): number {
    return this.#messages.get(id)?.receiveCount ?? 0;
  }

  hasDeadLetters(): boolean {
    return this.#options.deadLetterArn !== undefined;
  }

  /** At-least-once delivery: a message that somebody holds, or has deleted, can be received once more. */
  duplicate(id: string): void {
    const message = this.#messages.get(id);
    if (!message || this.isFifo || message.place === 'dead-letter queue' || message.place === 'expired')
      return;
    message.place = 'queue';
    message.visibleAtMs = this.#options.clock.now();
    message.wasDuplicated = true;
    this.#changed();
  }

  /** The queue's retention is over for this message. */
  expire(id: string): void {
    const message = this.#messages.get(id);
    if (message?.place === 'queue') message.place = 'expired';
    this.#changed();
  }

  /**
   * Also when nobody waits for the answer any more: then what it takes is gone until its timeout, or until the receive is
   * repeated with its id (FIFO). `as` runs what is taken at once.
   */
  async receive(
    options: ReceiveOptions,
    { as = (take) => take(), attemptId }: ReceiveContext = {},
  ): Promise<readonly Received[]> {
    const { clock } = this.#options;
    const requestedAtMs = clock.now();
    const endMs = requestedAtMs + options.waitSeconds * 1_000;
    for (;;) {
      const messages = as(
        () => this.#again(options, requestedAtMs, attemptId) ?? this.#take(options, requestedAtMs),
      );
      if (messages.length > 0 && attemptId !== undefined)
        this.#attempts.set(attemptId, { atMs: clock.now(), messages });
      if (messages.length > 0 || clock.now() >= endMs) return messages;
      await this.#change(endMs);
    }
  }

  changeVisibility(
    { id, receiptHandle }: ReceiptEntry,
    seconds: number,
    purpose: 'release' | 'renew' = 'release',
  ): EntryResult {
    const message = this.#byHandle.get(receiptHandle);
    if (message) this.#options.observer.asked(purpose, message, receiptHandle, seconds);
    const error = this.#changeOne(message, receiptHandle, seconds);
    this.#changed();
    return { id, error };
  }

  delete({ id, receiptHandle }: ReceiptEntry): EntryResult {
    const message = this.#byHandle.get(receiptHandle);
    if (!message) return { id, error: sqsFailure('LeaseLost', 'lost') };
    this.#options.observer.asked('delete', message, receiptHandle, 0);
    if (message.place !== 'queue') return { id, error: undefined };
    const isNewest = message.receiptHandle === receiptHandle;
    const hasRunOut = !isNewest || message.visibleAtMs <= this.#options.clock.now();
    if (this.isFifo && hasRunOut) return { id, error: sqsFailure('LeaseLost', 'lost') };
    if (!isNewest) return { id, error: undefined };
    message.place = 'deleted';
    this.#options.observer.deleted(message);
    this.#changed();
    return { id, error: undefined };
  }

  /** A copy of a message for the dead-letter queue, which now has it. */
  takeCopy({ id, reason }: Pick<DeadLetterCopy, 'id' | 'reason'>): EntryResult {
    const message = this.#messages.get(id);
    if (message) {
      message.copies.push(reason);
      this.#options.observer.copied(message);
    }
    return { id, error: undefined };
  }

  /** What GetQueueAttributes says of the queue, or at any other URL of its dead-letter queue: true a while ago. */
  describe(url = this.ref.url): QueueAttributes {
    const { queue, deadLetterArn, maxReceiveCount } = this.#options;
    const common = {
      delayed: 0,
      retentionSeconds: RETENTION_SECONDS,
      fifo: this.isFifo,
      kmsKeyId: undefined,
    };
    if (url !== this.ref.url) {
      const visible = this.countDeadLetters();
      const source = { deadLetterArn: undefined, maxReceiveCount: undefined };
      return { arn: deadLetterArn ?? '', visible, inFlight: 0, ...source, ...common };
    }
    const { visible, inFlight } = this.#counts.read(this.#figures());
    return { arn: queue.arn, visible, inFlight, deadLetterArn, maxReceiveCount, ...common };
  }

  countDeadLetters(): number {
    let count = 0;
    for (const { place, copies } of this.#messages.values())
      count += copies.length + (place === 'dead-letter queue' ? 1 : 0);
    return count;
  }

  #take(options: ReceiveOptions, requestedAtMs: number): Received[] {
    const now = this.#options.clock.now();
    const { maxReceiveCount = Number.POSITIVE_INFINITY, observer } = this.#options;
    const taken: StoredMessage[] = [];
    let moved = false;
    for (const message of deliverable(this.#inSomeOrder(), this.isFifo, now)) {
      if (taken.length >= options.max) break;
      if (message.receiveCount < maxReceiveCount) taken.push(message);
      else {
        message.place = 'dead-letter queue';
        moved = true;
        observer.deadLettered(message);
      }
    }
    const answer = taken.map((message) => this.#handOut(message, options, requestedAtMs));
    if (moved || taken.length > 0) this.#counts.note(() => this.#figures());
    return answer;
  }

  /** A standard queue promises no order: it begins anywhere. */
  #inSomeOrder(): Iterable<StoredMessage> {
    if (this.isFifo) return this.#messages.values();
    const messages = [...this.#messages.values()];
    const start = messages.length === 0 ? 0 : (this.#handles * 5) % messages.length;
    return [...messages.slice(start), ...messages.slice(0, start)];
  }

  #handOut(message: StoredMessage, options: ReceiveOptions, requestedAtMs: number) {
    const now = this.#options.clock.now();
    const { visibleAtMs, receivedAtMs } = message;
    this.#handles += 1;
    message.receiveCount += 1;
    message.receiptHandle = `handle-${this.#options.prefix}-${this.#handles}`;
    this.#byHandle.set(message.receiptHandle, message);
    message.receivedAtMs = now;
    message.visibleAtMs = now + options.visibilityTimeoutSeconds * 1_000;
    this.#options.observer.received(message, { visibleAtMs, receivedAtMs });
    return received(message, this.ref, options, requestedAtMs);
  }

  #changeOne(
    message: StoredMessage | undefined,
    receiptHandle: string,
    seconds: number,
  ): OperatorError | undefined {
    const now = this.#options.clock.now();
    if (message?.place !== 'queue') return sqsFailure('LeaseLost', 'lost');
    const isNewest = message.receiptHandle === receiptHandle;
    if (this.isFifo && (!isNewest || message.visibleAtMs <= now)) return sqsFailure('LeaseLost', 'lost');
    // A standard queue answers with success, and nothing has changed.
    if (!isNewest || message.visibleAtMs <= now) return undefined;
    const visibleAtMs = now + seconds * 1_000;
    if (visibleAtMs - message.receivedAtMs > MAX_VISIBILITY_MS) return sqsFailure('LeaseCeiling', 'lost');
    message.visibleAtMs = visibleAtMs;
    return undefined;
  }

  /** What the receive of this id brought, if it holds all of it still; its timeouts begin anew. */
  #again(
    options: ReceiveOptions,
    requestedAtMs: number,
    attemptId: string | undefined,
  ): readonly Received[] | undefined {
    const { clock } = this.#options;
    const known = attemptId === undefined ? undefined : this.#attempts.get(attemptId);
    if (!known || clock.now() - known.atMs > REMEMBERED_MS) return undefined;
    const held = known.messages.flatMap(({ receiptHandle }) => this.#byHandle.get(receiptHandle) ?? []);
    const isWhole = held.every(
      ({ place, receiptHandle, visibleAtMs }, index) =>
        place === 'queue' &&
        receiptHandle === known.messages[index]?.receiptHandle &&
        visibleAtMs > clock.now(),
    );
    if (!isWhole) return undefined;
    for (const message of held) {
      message.visibleAtMs = clock.now() + options.visibilityTimeoutSeconds * 1_000;
      this.#options.observer.repeated(message);
    }
    return held.map((message) => received(message, this.ref, options, requestedAtMs));
  }

  #deduplicated(id: string): StoredMessage | undefined {
    if (!this.isFifo) return undefined;
    const sinceMs = this.#options.clock.now() - REMEMBERED_MS;
    return [...this.#messages.values()].find(
      ({ deduplicationId, sentAtMs }) => deduplicationId === id && sentAtMs >= sinceMs,
    );
  }

  #figures(): { readonly visible: number; readonly inFlight: number } {
    const now = this.#options.clock.now();
    let visible = 0;
    let inFlight = 0;
    for (const { place, visibleAtMs } of this.#messages.values()) {
      if (place !== 'queue') continue;
      if (visibleAtMs <= now) visible += 1;
      else inFlight += 1;
    }
    return { visible, inFlight };
  }

  /** Until a message may have become visible, or the end. */
  #change(endMs: number): Promise<void> {
    const { clock } = this.#options;
    const now = clock.now();
    let nextMs = endMs;
    for (const { place, visibleAtMs } of this.#messages.values())
      if (place === 'queue' && visibleAtMs > now) nextMs = Math.min(nextMs, visibleAtMs);
    return new Promise((resolve) => {
      const done = () => {
        cancel();
        this.#waiting.delete(done);
        resolve();
      };
      const cancel = clock.after(nextMs - now, done);
      this.#waiting.add(done);
    });
  }

  #changed(): void {
    this.#counts.note(() => this.#figures());
    for (const done of this.#waiting) done();
  }
}
