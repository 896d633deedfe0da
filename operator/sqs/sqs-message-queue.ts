import {
  ChangeMessageVisibilityBatchCommand,
  ChangeMessageVisibilityCommand,
  DeleteMessageBatchCommand,
  DeleteMessageCommand,
  GetQueueAttributesCommand,
  ReceiveMessageCommand,
  SendMessageBatchCommand,
  type SQSClient,
} from '@aws-sdk/client-sqs';
import { z } from 'zod';
import { deadLetterUrl } from '../api/queue-url.ts';
import { hasCode, OperatorError } from '../errors.ts';
import type { Message, QueueRef } from '../plan/message.ts';
import type { QueueReader } from '../plan/queue-reader.ts';
import type { QueueAttributes } from '../plan/snapshot.ts';
import type { Clock } from '../ports.ts';
import type {
  DeadLetterCopy,
  EntryResult,
  MessageQueue,
  ReceiptEntry,
  ReceiveOptions,
  TriedRight,
} from '../world.ts';
import { inTens, sendBatches } from './batches.ts';
import { batchesOf, prepareCopy } from './dead-letter-copy.ts';
import { GatheredCalls } from './gathered-calls.ts';
import { type ReceiveAttempt, ReceiveAttempts } from './receive-attempts.ts';
import { receivedMessage } from './received-message.ts';
import type { Purpose, SqsClients } from './sqs-clients.ts';
import { type Operation, sqsError } from './sqs-errors.ts';

/** The receipt handle of no message. */
const NO_HANDLE = 'batchqueue-tries-its-rights';
/** SQS keeps no message longer, in seconds (14 days). */
const MAX_RETENTION_SECONDS = 1_209_600;

/** SQS through the AWS SDK: the only file that calls it. */
export class SqsMessageQueue implements MessageQueue {
  readonly #clients: SqsClients;
  readonly #clock: Clock;
  readonly #attempts: ReceiveAttempts;
  readonly #deletes = new GatheredCalls((queue, entries) => this.#delete(queue, entries));

  constructor(clients: SqsClients, clock: Clock) {
    this.#clients = clients;
    this.#clock = clock;
    this.#attempts = new ReceiveAttempts(clock);
  }

  async receive(queue: QueueRef, options: ReceiveOptions): Promise<readonly Message[]> {
    if (!isFifo(queue)) return await this.#receive(queue, { options, startedAtMs: this.#clock.now() });
    const attempt = this.#attempts.begin(queue, options);
    try {
      return await this.#receive(queue, attempt);
    } catch (error) {
      if (hasCode(error, 'QueueUnreachable')) this.#attempts.lost(queue, attempt);
      throw error;
    }
  }

  changeVisibility(queue: QueueRef, entries: readonly ReceiptEntry[], seconds: number) {
    return this.#changeVisibility(queue, entries, seconds, 'settle');
  }

  renew(queue: QueueRef, entries: readonly ReceiptEntry[], seconds: number) {
    return this.#changeVisibility(queue, entries, seconds, 'renew');
  }

  delete(queue: QueueRef, entries: readonly ReceiptEntry[]): Promise<readonly EntryResult[]> {
    // A FIFO queue takes them in the callers' order.
    return isFifo(queue) ? this.#delete(queue, entries) : this.#deletes.call(queue, entries);
  }

  #delete(queue: QueueRef, entries: readonly ReceiptEntry[]): Promise<readonly EntryResult[]> {
    return sendBatches(inTens(entries), {
      operation: 'DeleteMessage',
      ...this.#clients.asked(queue),
      handles: handlesOf(entries),
      inOrder: isFifo(queue),
      send: async (batch) => {
        const command = new DeleteMessageBatchCommand({ QueueUrl: queue.url, Entries: batch.map(receipt) });
        return await this.#clients.clientFor(queue, 'settle').send(command);
      },
    });
  }

  sendToDeadLetter(
    queue: QueueRef,
    deadLetterArn: string,
    copies: readonly DeadLetterCopy[],
  ): Promise<readonly EntryResult[]> {
    const deadLetters = { ...queue, url: deadLetterUrl(queue.url, deadLetterArn) };
    const prepared = copies.map((copy) => prepareCopy(copy, { sourceArn: queue.arn, deadLetterArn }));
    return sendBatches(batchesOf(prepared), {
      operation: 'SendMessage',
      ...this.#clients.asked(deadLetters),
      inOrder: deadLetterArn.endsWith('.fifo'),
      send: async (batch) => {
        const entries = batch.map(({ entry }, index) => ({ ...entry, Id: String(index) }));
        const command = new SendMessageBatchCommand({ QueueUrl: deadLetters.url, Entries: entries });
        return await this.#clients.clientFor(deadLetters, 'settle').send(command);
      },
    });
  }

  async describe(reader: QueueReader): Promise<QueueAttributes> {
    const command = new GetQueueAttributesCommand({ QueueUrl: reader.url, AttributeNames: ['All'] });
    const { Attributes: attributes = {} } = await this.#call(
      'GetQueueAttributes',
      reader,
      'settle',
      (client) => client.send(command),
    );
    const redrive = parseRedrivePolicy(attributes.RedrivePolicy);
    return {
      arn: attributes.QueueArn ?? '',
      visible: Number(attributes.ApproximateNumberOfMessages ?? 0),
      inFlight: Number(attributes.ApproximateNumberOfMessagesNotVisible ?? 0),
      delayed: Number(attributes.ApproximateNumberOfMessagesDelayed ?? 0),
      deadLetterArn: redrive.deadLetterTargetArn,
      maxReceiveCount: redrive.maxReceiveCount,
      retentionSeconds: Number(attributes.MessageRetentionPeriod ?? MAX_RETENTION_SECONDS),
      fifo: attributes.FifoQueue === 'true',
      kmsKeyId: attributes.KmsMasterKeyId || undefined,
    };
  }

  async tryRight(reader: QueueReader, right: TriedRight): Promise<void> {
    const nobodys = { QueueUrl: reader.url, ReceiptHandle: NO_HANDLE };
    try {
      await this.#call(right, reader, 'settle', async (client) => {
        if (right === 'DeleteMessage') await client.send(new DeleteMessageCommand(nobodys));
        else await client.send(new ChangeMessageVisibilityCommand({ ...nobodys, VisibilityTimeout: 0 }));
      });
    } catch (error) {
      // That it is nobody's handle is said to those who may ask.
      if (!(error instanceof OperatorError) || error.verdict !== 'lost') throw error;
    }
  }

  async #receive(
    queue: QueueRef,
    attempt: Omit<ReceiveAttempt, 'id'> & { readonly id?: string },
  ): Promise<readonly Message[]> {
    const { options, startedAtMs: receivedAtMs, id } = attempt;
    const { visibilityTimeoutSeconds } = options;
    const command = new ReceiveMessageCommand({
      QueueUrl: queue.url,
      MaxNumberOfMessages: options.max,
      VisibilityTimeout: visibilityTimeoutSeconds,
      WaitTimeSeconds: options.waitSeconds,
      MessageSystemAttributeNames: ['All'],
      MessageAttributeNames: ['All'],
      ...(id !== undefined && { ReceiveRequestAttemptId: id }),
    });
    const { Messages = [] } = await this.#call('ReceiveMessage', queue, 'poll', (client) =>
      client.send(command),
    );
    const receive = { queue, receivedAtMs, arrivedAtMs: this.#clock.now(), visibilityTimeoutSeconds };
    return Messages.map((message) => receivedMessage(message, receive));
  }

  #changeVisibility(queue: QueueRef, entries: readonly ReceiptEntry[], seconds: number, purpose: Purpose) {
    return sendBatches(inTens(entries), {
      operation: 'ChangeMessageVisibility',
      ...this.#clients.asked(queue),
      handles: handlesOf(entries),
      inOrder: purpose === 'settle' && isFifo(queue),
      send: async (batch) => {
        const command = new ChangeMessageVisibilityBatchCommand({
          QueueUrl: queue.url,
          Entries: batch.map((entry, index) => ({ ...receipt(entry, index), VisibilityTimeout: seconds })),
        });
        return await this.#clients.clientFor(queue, purpose).send(command);
      },
    });
  }

  async #call<T>(
    operation: Operation,
    reader: QueueReader,
    purpose: Purpose,
    send: (client: SQSClient) => Promise<T>,
  ): Promise<T> {
    const client = this.#clients.clientFor(reader, purpose);
    try {
      return await send(client);
    } catch (error) {
      throw sqsError({ operation, ...this.#clients.asked(reader) }, error);
    }
  }
}

function isFifo({ arn }: QueueRef): boolean {
  return arn.endsWith('.fifo');
}

/** Message ids may hold characters that entry ids may not, so entries are numbered. */
function receipt(entry: ReceiptEntry, index: number): { Id: string; ReceiptHandle: string } {
  return { Id: String(index), ReceiptHandle: entry.receiptHandle };
}

function handlesOf(entries: readonly ReceiptEntry[]): readonly string[] {
  return entries.map(({ receiptHandle }) => receiptHandle);
}

const redriveSchema = z.object({
  deadLetterTargetArn: z.string().optional(),
  maxReceiveCount: z.coerce.number().optional(),
});

/** The policy is JSON in an attribute; one that cannot be read is as good as none. */
function parseRedrivePolicy(text: string | undefined): z.output<typeof redriveSchema> {
  try {
    return redriveSchema.parse(JSON.parse(text ?? '{}'));
  } catch {
    return {};
  }
}
