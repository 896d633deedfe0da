import type { QueueRef } from '../plan/message.ts';
import { readerKey } from '../plan/queue-reader.ts';
import type { EntryResult, ReceiptEntry } from '../world.ts';
import { MAX_BATCH } from './batches.ts';

/** Answers entry by entry, in the order of the entries. */
export type BatchCall = (
  queue: QueueRef,
  entries: readonly ReceiptEntry[],
) => Promise<readonly EntryResult[]>;

interface Waiting {
  readonly entry: ReceiptEntry;
  readonly resolve: (result: EntryResult) => void;
  readonly reject: (error: unknown) => void;
}

/** What waits for one queue. */
interface Lane {
  readonly queue: QueueRef;
  readonly waiting: Waiting[];
  underWay: number;
}

/**
 * Puts entries of many callers into common requests, because SQS is paid by the request and a burst settles hundreds of
 * Jobs at once: a full batch goes at once, a smaller one as soon as none of its queue and reader is under way. So nobody waits for
 * company while the queue is at rest. Each caller gets the results of its own entries.
 */
export class GatheredCalls {
  readonly #send: BatchCall;
  readonly #lanes = new Map<string, Lane>();

  constructor(send: BatchCall) {
    this.#send = send;
  }

  /** Any number of entries; resolves when SQS has answered for all of them. Rejects with what the request did. */
  async call(queue: QueueRef, entries: readonly ReceiptEntry[]): Promise<readonly EntryResult[]> {
    const lane = this.#laneOf(queue);
    const results = entries.map(
      (entry) =>
        new Promise<EntryResult>((resolve, reject) => {
          lane.waiting.push({ entry, resolve, reject });
        }),
    );
    // Callers of the same moment come before the first request.
    setImmediate(() => this.#dispatch(lane));
    return await Promise.all(results);
  }

  #laneOf(queue: QueueRef): Lane {
    const known = this.#lanes.get(readerKey(queue));
    if (known) return known;
    const lane: Lane = { queue, waiting: [], underWay: 0 };
    this.#lanes.set(readerKey(queue), lane);
    return lane;
  }

  #dispatch(lane: Lane): void {
    const { waiting } = lane;
    while (waiting.length >= MAX_BATCH || (waiting.length > 0 && lane.underWay === 0))
      void this.#request(lane, waiting.splice(0, MAX_BATCH));
    if (waiting.length === 0 && lane.underWay === 0) this.#lanes.delete(readerKey(lane.queue));
  }

  async #request(lane: Lane, batch: readonly Waiting[]): Promise<void> {
    lane.underWay += 1;
    try {
      const results = await this.#send(
        lane.queue,
        batch.map(({ entry }) => entry),
      );
      for (const [index, { entry, resolve }] of batch.entries())
        resolve(results[index] ?? { id: entry.id, error: undefined });
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
    lane.underWay -= 1;
    this.#dispatch(lane);
  }
}
