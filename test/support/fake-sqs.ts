import { OperatorError } from '../../operator/errors.ts';
import type { Message, QueueAttributes, QueueRef } from '../../operator/plan/types.ts';
import type { Clock } from '../../operator/ports.ts';
import type { DeadLetterCopy, EntryResult, ReceiptEntry, ReceiveOptions } from '../../operator/world.ts';

const MAX_VISIBILITY_MS = 43_200_000;

/** Where a message is; the truth that tests compare with. */
export type Place = 'queue' | 'dead-letter queue' | 'deleted';

interface Stored {
  readonly id: string;
  readonly body: string;
  readonly sentAtMs: number;
  place: Place;
  receiveCount: number;
  /** Visible from then on, epoch ms. */
  visibleAtMs: number;
  /** The newest one; older ones do nothing. */
  receiptHandle: string | undefined;
  /** When the newest receipt handle was handed out; SQS's twelve hours count from here. */
  receivedAtMs: number;
}

export interface FakeSqsOptions {
  readonly clock: Clock;
  readonly queue: QueueRef;
  readonly deadLetterArn: string;
  readonly maxReceiveCount: number;
  /** Told of every delete that takes a message away. */
  readonly onDelete: (id: string) => void;
}

/**
 * One standard SQS queue with a dead-letter queue, as far as its promises go: visibility timeouts that count from when a
 * message is handed out, receive counts, redelivery, handles of which only the newest does anything (deletes and
 * changes with an older one are answered with success, as AWS does), and the ceiling of twelve hours. Everything
 * happens at once; whoever wants latency or faults puts them in front. Held to test/conformance.
 */
export class FakeSqs {
  readonly #options: FakeSqsOptions;
  readonly #messages = new Map<string, Stored>();
  readonly #waiting = new Set<() => void>();
  /** Every receipt handle ever given out. */
  readonly #byHandle = new Map<string, Stored>();
  #handles = 0;
  /** Reasons of the copies in the dead-letter queue, by the id of what was copied. */
  readonly copied = new Map<string, string>();

  constructor(options: FakeSqsOptions) {
    this.#options = options;
  }

  send(body: string): string {
    const number = String(this.#messages.size + 1).padStart(12, '0');
    const id = `00000000-0000-4000-8000-${number}`;
    const sentAtMs = this.#options.clock.now();
    this.#messages.set(id, {
      id,
      body,
      sentAtMs,
      place: 'queue',
      receiveCount: 0,
      visibleAtMs: sentAtMs,
      receiptHandle: undefined,
      receivedAtMs: 0,
    });
    this.#wake();
    return id;
  }

  places(): ReadonlyMap<string, Place> {
    return new Map([...this.#messages.values()].map(({ id, place }) => [id, place]));
  }

  receiveCountOf(id: string): number {
    return this.#messages.get(id)?.receiveCount ?? 0;
  }

  /** At-least-once delivery: a message that somebody holds, or has deleted, can be received once more. */
  duplicate(id: string): void {
    const message = this.#messages.get(id);
    if (!message || message.place === 'dead-letter queue') return;
    message.place = 'queue';
    message.visibleAtMs = this.#options.clock.now();
    this.#wake();
  }

  /** Also when nobody waits for the answer any more: then what it takes is gone until its timeout. */
  async receive(options: ReceiveOptions): Promise<readonly Message[]> {
    const { clock } = this.#options;
    const requestedAtMs = clock.now();
    const endMs = requestedAtMs + options.waitSeconds * 1_000;
    for (;;) {
      const messages = this.#take(options, requestedAtMs);
      if (messages.length > 0 || clock.now() >= endMs) return messages;
      await this.#change(endMs);
    }
  }

  changeVisibility(entries: readonly ReceiptEntry[], seconds: number): readonly EntryResult[] {
    const results = entries.map(({ id, receiptHandle }) => ({
      id,
      error: this.#changeOne(receiptHandle, seconds),
    }));
    this.#wake();
    return results;
  }

  delete(entries: readonly ReceiptEntry[]): readonly EntryResult[] {
    return entries.map(({ id, receiptHandle }) => {
      const message = this.#byHandle.get(receiptHandle);
      if (!message) return { id, error: sqsFailure('LeaseLost', 'lost') };
      if (message.place === 'queue' && message.receiptHandle === receiptHandle) {
        message.place = 'deleted';
        this.#options.onDelete(message.id);
      }
      return { id, error: undefined };
    });
  }

  /** Copies to the dead-letter queue; each is a message of its own there. */
  copy(copies: readonly DeadLetterCopy[]): readonly EntryResult[] {
    for (const { id, reason } of copies) this.copied.set(id, reason);
    return copies.map(({ id }) => ({ id, error: undefined }));
  }

  /** Of the queue; at any other URL, of its dead-letter queue. */
  describe(url = this.#options.queue.url): QueueAttributes {
    const now = this.#options.clock.now();
    const isQueue = url === this.#options.queue.url;
    const where = isQueue ? 'queue' : 'dead-letter queue';
    const held = [...this.#messages.values()].filter(({ place }) => place === where);
    const visible = held.filter(({ visibleAtMs }) => visibleAtMs <= now).length;
    const { queue, deadLetterArn, maxReceiveCount } = this.#options;
    return {
      arn: isQueue ? queue.arn : deadLetterArn,
      visible,
      inFlight: held.length - visible,
      delayed: 0,
      deadLetterArn: isQueue ? deadLetterArn : undefined,
      maxReceiveCount: isQueue ? maxReceiveCount : undefined,
      retentionSeconds: 345_600,
      fifo: false,
      kmsKeyId: undefined,
    };
  }

  countDeadLetters(): number {
    return [...this.#messages.values()].filter(({ place }) => place === 'dead-letter queue').length;
  }

  #take(options: ReceiveOptions, requestedAtMs: number): Message[] {
    const now = this.#options.clock.now();
    const taken: Message[] = [];
    for (const message of this.#messages.values()) {
      if (taken.length >= options.max) break;
      if (message.place !== 'queue' || message.visibleAtMs > now) continue;
      if (message.receiveCount >= this.#options.maxReceiveCount) message.place = 'dead-letter queue';
      else taken.push(this.#handOut(message, options, requestedAtMs));
    }
    return taken;
  }

  #handOut(message: Stored, options: ReceiveOptions, requestedAtMs: number): Message {
    const now = this.#options.clock.now();
    this.#handles += 1;
    message.receiveCount += 1;
    message.receiptHandle = `handle-${this.#handles}`;
    this.#byHandle.set(message.receiptHandle, message);
    message.receivedAtMs = now;
    message.visibleAtMs = now + options.visibilityTimeoutSeconds * 1_000;
    const { id, body, receiptHandle, receiveCount, sentAtMs } = message;
    return {
      queue: this.#options.queue,
      id,
      body,
      receiptHandle,
      receiveCount,
      sentAtMs,
      receivedAtMs: requestedAtMs,
      arrivedAtMs: now,
      visibilityTimeoutSeconds: options.visibilityTimeoutSeconds,
      attributes: { SentTimestamp: String(sentAtMs), ApproximateReceiveCount: String(receiveCount) },
      messageAttributes: {},
    };
  }

  #changeOne(receiptHandle: string, seconds: number): OperatorError | undefined {
    const now = this.#options.clock.now();
    const message = this.#byHandle.get(receiptHandle);
    if (message?.place !== 'queue') return sqsFailure('LeaseLost', 'lost');
    // Nothing is said of a lease that has ended, or that somebody else has now.
    if (message.receiptHandle !== receiptHandle || message.visibleAtMs <= now) return undefined;
    const visibleAtMs = now + seconds * 1_000;
    if (visibleAtMs - message.receivedAtMs > MAX_VISIBILITY_MS) return sqsFailure('LeaseCeiling', 'lost');
    message.visibleAtMs = visibleAtMs;
    return undefined;
  }

  /** Until a message may have become visible, or the end. */
  #change(endMs: number): Promise<void> {
    const { clock } = this.#options;
    const now = clock.now();
    const times = [...this.#messages.values()]
      .filter(({ place, visibleAtMs }) => place === 'queue' && visibleAtMs > now)
      .map(({ visibleAtMs }) => visibleAtMs);
    return new Promise((resolve) => {
      const done = () => {
        cancel();
        this.#waiting.delete(done);
        resolve();
      };
      const cancel = clock.after(Math.min(endMs, ...times) - now, done);
      this.#waiting.add(done);
    });
  }

  #wake(): void {
    for (const done of this.#waiting) done();
  }
}

/** An error as the SQS adapter gives it. */
export function sqsFailure(code: string, verdict: 'retry' | 'terminal' | 'lost'): OperatorError {
  return new OperatorError({ code, verdict, message: `sqs: ${code}` });
}
