import {
  ChangeMessageVisibilityBatchCommand,
  DeleteMessageBatchCommand,
  GetQueueAttributesCommand,
  type MessageAttributeValue,
  ReceiveMessageCommand,
  type Message as SdkMessage,
  SendMessageCommand,
  type SendMessageCommandInput,
  type SQSClient,
} from '@aws-sdk/client-sqs';
import { z } from 'zod';
import type { Message, MessageAttribute, QueueAttributes, QueueRef } from '../plan/types.ts';
import type { Clock } from '../ports.ts';
import type { DeadLetterCopy, EntryResult, MessageQueue, ReceiptEntry, ReceiveOptions } from '../world.ts';
import type { Purpose, SqsClients } from './sqs-clients.ts';
import { sqsEntryError, sqsError } from './sqs-errors.ts';

/** SQS allows ten entries per batch request. */
const MAX_BATCH = 10;
/** SQS keeps no message longer, in seconds (14 days). */
const MAX_RETENTION_SECONDS = 1_209_600;

/** SQS through the AWS SDK: the only file that calls it. */
export class SqsMessageQueue implements MessageQueue {
  readonly #clients: SqsClients;
  readonly #clock: Clock;

  constructor(clients: SqsClients, clock: Clock) {
    this.#clients = clients;
    this.#clock = clock;
  }

  async receive(queue: QueueRef, options: ReceiveOptions): Promise<readonly Message[]> {
    const command = new ReceiveMessageCommand({
      QueueUrl: queue.url,
      MaxNumberOfMessages: options.max,
      VisibilityTimeout: options.visibilityTimeoutSeconds,
      WaitTimeSeconds: options.waitSeconds,
      MessageSystemAttributeNames: ['All'],
      MessageAttributeNames: ['All'],
    });
    const receivedAtMs = this.#clock.now();
    const answer = await this.#call('ReceiveMessage', queue.url, 'poll', (client) => client.send(command));
    return (answer.Messages ?? []).map((message) =>
      messageFrom(message, {
        queue,
        receivedAtMs,
        arrivedAtMs: this.#clock.now(),
        visibilityTimeoutSeconds: options.visibilityTimeoutSeconds,
      }),
    );
  }

  changeVisibility(queue: QueueRef, entries: readonly ReceiptEntry[], seconds: number) {
    return this.#changeVisibility(queue, entries, seconds, 'settle');
  }

  renew(queue: QueueRef, entries: readonly ReceiptEntry[], seconds: number) {
    return this.#changeVisibility(queue, entries, seconds, 'renew');
  }

  delete(queue: QueueRef, entries: readonly ReceiptEntry[]): Promise<readonly EntryResult[]> {
    return inBatches(entries, async (batch) => {
      const command = new DeleteMessageBatchCommand({ QueueUrl: queue.url, Entries: batch.map(batchEntry) });
      const answer = await this.#call('DeleteMessage', queue.url, 'settle', (client) => client.send(command));
      return entryResults('DeleteMessage', batch, answer.Failed);
    });
  }

  sendToDeadLetter(
    queue: QueueRef,
    deadLetterArn: string,
    copies: readonly DeadLetterCopy[],
  ): Promise<readonly EntryResult[]> {
    const url = deadLetterUrl(queue.url, deadLetterArn);
    return Promise.all(
      copies.map(async (copy) => {
        const command = new SendMessageCommand(copyRequest(url, copy));
        try {
          await this.#call('SendMessage', url, 'settle', (client) => client.send(command));
          return { id: copy.id, error: undefined };
        } catch (error) {
          return { id: copy.id, error: sqsError('SendMessage', error) };
        }
      }),
    );
  }

  async describe(url: string): Promise<QueueAttributes> {
    const attributes = await this.#attributes(url);
    const redrive = parseRedrivePolicy(attributes['RedrivePolicy']);
    return {
      arn: attributes['QueueArn'] ?? '',
      visible: Number(attributes['ApproximateNumberOfMessages'] ?? 0),
      inFlight: Number(attributes['ApproximateNumberOfMessagesNotVisible'] ?? 0),
      delayed: Number(attributes['ApproximateNumberOfMessagesDelayed'] ?? 0),
      deadLetterArn: redrive.deadLetterTargetArn,
      maxReceiveCount: redrive.maxReceiveCount,
      retentionSeconds: Number(attributes['MessageRetentionPeriod'] ?? MAX_RETENTION_SECONDS),
    };
  }

  async countDeadLetters(url: string, deadLetterArn: string): Promise<number | undefined> {
    const attributes = await this.#attributes(deadLetterUrl(url, deadLetterArn));
    const visible = attributes['ApproximateNumberOfMessages'];
    return visible === undefined ? undefined : Number(visible);
  }

  async #attributes(url: string): Promise<Record<string, string>> {
    const command = new GetQueueAttributesCommand({ QueueUrl: url, AttributeNames: ['All'] });
    const answer = await this.#call('GetQueueAttributes', url, 'settle', (client) => client.send(command));
    return answer.Attributes ?? {};
  }

  #changeVisibility(queue: QueueRef, entries: readonly ReceiptEntry[], seconds: number, purpose: Purpose) {
    return inBatches(entries, async (batch) => {
      const command = new ChangeMessageVisibilityBatchCommand({
        QueueUrl: queue.url,
        Entries: batch.map((entry, index) => ({ ...batchEntry(entry, index), VisibilityTimeout: seconds })),
      });
      const answer = await this.#call('ChangeMessageVisibility', queue.url, purpose, (client) =>
        client.send(command),
      );
      return entryResults('ChangeMessageVisibility', batch, answer.Failed);
    });
  }

  async #call<T>(
    operation: string,
    url: string,
    purpose: Purpose,
    send: (client: SQSClient) => Promise<T>,
  ): Promise<T> {
    const client = this.#clients.clientFor(url, purpose);
    try {
      return await send(client);
    } catch (error) {
      throw sqsError(operation, error);
    }
  }
}

/** Runs the batches at the same time. A batch that fails as a whole fails each of its entries, and no other batch. */
async function inBatches(
  entries: readonly ReceiptEntry[],
  send: (batch: readonly ReceiptEntry[]) => Promise<readonly EntryResult[]>,
): Promise<readonly EntryResult[]> {
  const batches: ReceiptEntry[][] = [];
  for (let start = 0; start < entries.length; start += MAX_BATCH)
    batches.push(entries.slice(start, start + MAX_BATCH));
  const results = await Promise.all(
    batches.map((batch) =>
      send(batch).catch((error: unknown) =>
        batch.map(({ id }) => ({ id, error: sqsError('batch request', error) })),
      ),
    ),
  );
  return results.flat();
}

/** A dead-letter queue is in the account and region of its source, so its URL differs in the name only. */
function deadLetterUrl(url: string, deadLetterArn: string): string {
  return url.replace(/[^/]+$/, deadLetterArn.split(':').at(-1) ?? '');
}

/** SQS allows ten attributes; the sender's own come first. */
const MAX_ATTRIBUTES = 10;

function copyRequest(url: string, copy: DeadLetterCopy): SendMessageCommandInput {
  const { id, body, groupId, reason } = copy;
  const own = Object.entries(copy.messageAttributes).map(
    ([name, { dataType, stringValue, binaryValue }]): [string, MessageAttributeValue] => [
      name,
      {
        DataType: dataType,
        ...(stringValue !== undefined && { StringValue: stringValue }),
        ...(binaryValue !== undefined && { BinaryValue: Buffer.from(binaryValue, 'base64') }),
      },
    ],
  );
  const ours: [string, MessageAttributeValue][] = [
    ['BatchQueueReason', { DataType: 'String', StringValue: reason === '' ? 'rejected' : reason }],
    ['BatchQueueMessageId', { DataType: 'String', StringValue: id }],
  ];
  return {
    QueueUrl: url,
    MessageBody: body,
    MessageAttributes: Object.fromEntries([...own, ...ours].slice(0, MAX_ATTRIBUTES)),
    ...(groupId !== undefined && { MessageGroupId: groupId, MessageDeduplicationId: id }),
  };
}

/** Message ids may hold characters that entry ids may not, so entries are numbered. */
function batchEntry(entry: ReceiptEntry, index: number): { Id: string; ReceiptHandle: string } {
  return { Id: String(index), ReceiptHandle: entry.receiptHandle };
}

interface FailedEntry {
  readonly Id?: string | undefined;
  readonly Code?: string | undefined;
  readonly Message?: string | undefined;
}

function entryResults(
  operation: string,
  batch: readonly ReceiptEntry[],
  failed: readonly FailedEntry[] | undefined,
): readonly EntryResult[] {
  return batch.map(({ id }, index) => {
    const failure = failed?.find((entry) => entry.Id === String(index));
    return { id, error: failure && sqsEntryError(operation, failure.Code, failure.Message) };
  });
}

type Receive = Pick<Message, 'queue' | 'receivedAtMs' | 'arrivedAtMs' | 'visibilityTimeoutSeconds'>;

function messageFrom(message: SdkMessage, receive: Receive): Message {
  const attributes: Record<string, string> = { ...message.Attributes };
  return {
    ...receive,
    id: message.MessageId ?? '',
    body: message.Body ?? '',
    receiptHandle: message.ReceiptHandle ?? '',
    receiveCount: Number(attributes['ApproximateReceiveCount'] ?? 1),
    sentAtMs: Number(attributes['SentTimestamp'] ?? receive.receivedAtMs),
    attributes,
    messageAttributes: messageAttributesFrom(message.MessageAttributes ?? {}),
  };
}

function messageAttributesFrom(
  attributes: NonNullable<SdkMessage['MessageAttributes']>,
): Record<string, MessageAttribute> {
  return Object.fromEntries(
    Object.entries(attributes).map(([name, { DataType, StringValue, BinaryValue }]) => [
      name,
      {
        dataType: DataType ?? 'String',
        ...(StringValue !== undefined && { stringValue: StringValue }),
        ...(BinaryValue !== undefined && { binaryValue: Buffer.from(BinaryValue).toString('base64') }),
      },
    ]),
  );
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
