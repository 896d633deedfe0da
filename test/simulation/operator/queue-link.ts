import { chunksOf } from '../../../operator/chunks.ts';
import { hasCode } from '../../../operator/errors.ts';
import type { Message, QueueRef } from '../../../operator/plan/message.ts';
import type { QueueReader } from '../../../operator/plan/queue-reader.ts';
import type { QueueAttributes } from '../../../operator/plan/snapshot.ts';
import type { Fence } from '../../../operator/ports.ts';
import { ReceiveAttempts } from '../../../operator/sqs/receive-attempts.ts';
import type {
  DeadLetterCopy,
  EntryResult,
  MessageQueue,
  ReceiptEntry,
  ReceiveOptions,
  TriedRight,
} from '../../../operator/world.ts';
import { sqsFailure } from '../sqs/failures.ts';
import type { ModelQueue } from '../sqs/model-queue.ts';
import { type LinkOptions, never } from './kube-link.ts';
import type { SqsFault } from './weather.ts';

/** SQS allows ten entries per batch request. */
const MAX_BATCH = 10;
/** When the clients give up, in milliseconds. */
const POLL_TIMEOUT_MS = 30_000;
const CALL_TIMEOUT_MS = 30_000;

/** What one operator reaches of SQS. */
export class QueueLink implements MessageQueue {
  readonly #queueAt: (url: string) => ModelQueue;
  readonly #options: LinkOptions;
  /** As the adapter has it. */
  readonly #attempts: ReceiveAttempts;

  readonly #fence: Fence;

  constructor(queueAt: (url: string) => ModelQueue, fence: Fence, options: LinkOptions) {
    this.#queueAt = queueAt;
    this.#fence = fence;
    this.#options = options;
    this.#attempts = new ReceiveAttempts(options.process.clock);
  }

  async receive(ref: QueueRef, options: ReceiveOptions): Promise<readonly Message[]> {
    const fenced = this.#fence.whenChanged();
    if (fenced) {
      await fenced;
      return [];
    }
    const model = this.#queueAt(ref.url);
    const attempt = this.#attempts.begin(ref, options);
    const { process, as } = this.#options;
    const attemptId = model.isFifo ? attempt.id : undefined;
    const receivedAtMs = model.isFifo ? attempt.startedAtMs : process.clock.now();
    const take = (fault: SqsFault | undefined) =>
      model.receive(options, { as: (carryOut) => as(carryOut, fault !== 'lost'), attemptId });
    try {
      const messages = await this.#call(`receive ${options.max} of ${nameOf(ref)}`, take, POLL_TIMEOUT_MS);
      const arrivedAtMs = process.clock.now();
      return messages.map((message) => Object.assign({}, message, { queue: ref, receivedAtMs, arrivedAtMs }));
    } catch (error) {
      if (model.isFifo && hasCode(error, 'QueueUnreachable')) this.#attempts.lost(ref, attempt);
      throw error;
    }
  }

  changeVisibility(ref: QueueRef, entries: readonly ReceiptEntry[], seconds: number) {
    const model = this.#queueAt(ref.url);
    return this.#batch(`release for ${seconds} s`, entries, (entry) =>
      model.changeVisibility(entry, seconds),
    );
  }

  renew(ref: QueueRef, entries: readonly ReceiptEntry[], seconds: number) {
    const model = this.#queueAt(ref.url);
    return this.#batch(`renew for ${seconds} s`, entries, (entry) =>
      model.changeVisibility(entry, seconds, 'renew'),
    );
  }

  delete(ref: QueueRef, entries: readonly ReceiptEntry[]) {
    const model = this.#queueAt(ref.url);
    return this.#batch('delete messages', entries, (entry) => model.delete(entry));
  }

  async sendToDeadLetter(ref: QueueRef, _deadLetterArn: string, copies: readonly DeadLetterCopy[]) {
    const model = this.#queueAt(ref.url);
    return await this.#batch('copy to the dead-letter queue', copies, (copy) => model.takeCopy(copy));
  }

  describe({ url }: QueueReader): Promise<QueueAttributes> {
    const what = `describe ${url.split('/').at(-1)}`;
    return this.#call(what, () => this.#queueAt(url).describe(url), CALL_TIMEOUT_MS);
  }

  tryRight({ url }: QueueReader, right: TriedRight): Promise<void> {
    return this.#call(`try ${right}`, () => void this.#queueAt(url), CALL_TIMEOUT_MS);
  }

  /** One request per ten entries, at the same time; one that fails as a whole fails each of its entries. */
  async #batch<Entry extends { readonly id: string }>(
    what: string,
    entries: readonly Entry[],
    carryOut: (entry: Entry) => EntryResult,
  ): Promise<readonly EntryResult[]> {
    const batches = chunksOf(entries, MAX_BATCH);
    const results = await Promise.all(batches.map((batch) => this.#sendBatch(what, batch, carryOut)));
    return results.flat();
  }

  async #sendBatch<Entry extends { readonly id: string }>(
    what: string,
    batch: readonly Entry[],
    carryOut: (entry: Entry) => EntryResult,
  ): Promise<readonly EntryResult[]> {
    const { random } = this.#options;
    const names = batch.map(({ id }) => shortId(id)).join(' ');
    const carryOutAll = (fault: SqsFault | undefined) => {
      const refused = fault === 'partial' ? random.between(0, batch.length - 1) : -1;
      return batch.map((entry, index) =>
        index === refused ? { id: entry.id, error: sqsFailure('Throttled', 'retry') } : carryOut(entry),
      );
    };
    try {
      return await this.#call(`${what}: ${names}`, carryOutAll, CALL_TIMEOUT_MS);
    } catch {
      return batch.map(({ id }) => ({ id, error: sqsFailure('QueueUnreachable', 'retry') }));
    }
  }

  async #call<T>(
    what: string,
    carryOut: (fault: SqsFault | undefined) => T | Promise<T>,
    timeoutMs: number,
  ): Promise<T> {
    const { process, random, weather, note, as, permit } = this.#options;
    permit(what);
    const crashes = process.beginRequest();
    if (crashes('before it is sent')) return never();
    const fault = random.chance(weather.sqsChance) ? random.pick(weather.sqsFaults) : undefined;
    note(fault ? `${what} (${fault})` : what);
    const startMs = process.clock.now();
    const refusal = fault && refusalOf(fault);
    if (refusal) {
      await process.sleep(random.between(1, 20));
      throw refusal;
    }
    const answer = await process.onTheWire(random.between(1, 20), () => {
      const result = as(() => carryOut(fault));
      crashes('when it is carried out');
      return result;
    });
    const leftMs = Math.max(0, startMs + timeoutMs - process.clock.now());
    await process.sleep(fault === 'late' ? random.between(0, leftMs) : random.between(1, 20));
    if (crashes('when it is answered')) return never();
    if (fault === 'lost') throw sqsFailure('QueueUnreachable', 'retry');
    return answer;
  }
}

function refusalOf(fault: SqsFault) {
  if (fault === 'refused') return sqsFailure('QueueUnreachable', 'retry');
  if (fault === 'throttled') return sqsFailure('Throttled', 'retry');
  return fault === 'denied' ? sqsFailure('QueueAccessDenied', 'terminal') : undefined;
}

/** A message's id, short enough for a trace: its queue and its number. */
function shortId(id: string): string {
  return `${id.slice(0, 8).replace(/^0+/, '')}#${id.slice(-12).replace(/^0+/, '')}`;
}

function nameOf({ url }: QueueRef): string {
  return url.split('/').at(-1) ?? url;
}
