import type { Message, QueueRef } from '../../operator/plan/message.ts';
import type { QueueReader } from '../../operator/plan/queue-reader.ts';
import type { QueueAttributes } from '../../operator/plan/snapshot.ts';
import type {
  DeadLetterCopy,
  EntryResult,
  MessageQueue,
  ReceiptEntry,
  ReceiveOptions,
  TriedRight,
} from '../../operator/world.ts';
import { attributesOf, DEAD_LETTER_URL } from './builders.ts';

/** A request that a test answers when it wants to. */
export interface Pending<A, T> {
  readonly args: A;
  readonly answer: (value: T) => void;
  readonly fail: (error: unknown) => void;
}

/** Renew, release and delete alike. */
interface EntriesCall {
  readonly queue: QueueRef;
  readonly ids: readonly string[];
  readonly handles: readonly string[];
  readonly seconds: number | undefined;
}

/** A MessageQueue that keeps every request: receives and renewals wait for the test, the rest is answered at once. */
export class StubQueue implements MessageQueue {
  readonly receives: Pending<ReceiveOptions & { queue: QueueRef }, readonly Message[]>[] = [];
  readonly renewals: Pending<EntriesCall, readonly EntryResult[]>[] = [];
  readonly settlements: (EntriesCall & { readonly what: 'release' | 'delete' })[] = [];
  readonly copies: (DeadLetterCopy & { readonly deadLetterArn: string })[] = [];
  copyAnswer: (ids: readonly string[]) => Promise<readonly EntryResult[]> = (ids) =>
    Promise.resolve(done(ids));
  /** URLs that were described, in order. */
  readonly described: string[] = [];
  describeAnswer: () => Promise<QueueAttributes> = () => Promise.resolve(attributesOf());
  /** Messages in the dead-letter queue. */
  deadLetterAnswer: () => Promise<number> = () => Promise.resolve(0);
  settleAnswer: (ids: readonly string[]) => Promise<readonly EntryResult[]> = (ids) =>
    Promise.resolve(done(ids));

  receive(queue: QueueRef, options: ReceiveOptions): Promise<readonly Message[]> {
    return waiting(this.receives, { queue, ...options });
  }

  renew(queue: QueueRef, entries: readonly ReceiptEntry[], seconds: number): Promise<readonly EntryResult[]> {
    return waiting(this.renewals, callOf(queue, entries, seconds));
  }

  changeVisibility(queue: QueueRef, entries: readonly ReceiptEntry[], seconds: number) {
    const call = callOf(queue, entries, seconds);
    this.settlements.push({ what: 'release', ...call });
    return this.settleAnswer(call.ids);
  }

  delete(queue: QueueRef, entries: readonly ReceiptEntry[]) {
    const call = callOf(queue, entries, undefined);
    this.settlements.push({ what: 'delete', ...call });
    return this.settleAnswer(call.ids);
  }

  sendToDeadLetter(_queue: QueueRef, deadLetterArn: string, copies: readonly DeadLetterCopy[]) {
    this.copies.push(...copies.map((copy) => ({ ...copy, deadLetterArn })));
    return this.copyAnswer(copies.map(({ id }) => id));
  }

  /** Rights that were tried, in order. */
  readonly tried: TriedRight[] = [];
  rightAnswer: (right: TriedRight) => Promise<void> = () => Promise.resolve();

  tryRight(_reader: QueueReader, right: TriedRight): Promise<void> {
    this.tried.push(right);
    return this.rightAnswer(right);
  }

  async describe({ url }: QueueReader): Promise<QueueAttributes> {
    this.described.push(url);
    if (url !== DEAD_LETTER_URL) return await this.describeAnswer();
    return attributesOf({ visible: await this.deadLetterAnswer(), deadLetterArn: undefined });
  }
}

/** Every entry went well. */
export function done(ids: readonly string[]): readonly EntryResult[] {
  return ids.map((id) => ({ id, error: undefined }));
}

function callOf(queue: QueueRef, entries: readonly ReceiptEntry[], seconds: number | undefined): EntriesCall {
  return {
    queue,
    ids: entries.map(({ id }) => id),
    handles: entries.map((entry) => entry.receiptHandle),
    seconds,
  };
}

function waiting<A, T>(requests: Pending<A, T>[], args: A): Promise<T> {
  return new Promise((resolve, reject) => {
    requests.push({ args, answer: resolve, fail: reject });
  });
}
