import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import {
  CreateQueueCommand,
  DeleteQueueCommand,
  GetQueueAttributesCommand,
  type MessageAttributeValue,
  PurgeQueueCommand,
  ReceiveMessageCommand,
  SendMessageCommand,
  SQSClient,
} from '@aws-sdk/client-sqs';
import type { MessageAttribute, QueueRef } from '../../../operator/plan/message.ts';
import { systemClock } from '../../../operator/process/system-clock.ts';
import { SqsMessageQueue } from '../../../operator/sqs/sqs-message-queue.ts';
import { ANY_READER, clientsOfOne } from '../../support/one-identity.ts';
import {
  ALL_FEATURES,
  type OutgoingMessage,
  type QueueSpec,
  type Subject,
  type SubjectName,
} from '../subject.ts';

export interface EndpointOptions {
  readonly name: SubjectName;
  /** Undefined: AWS itself. */
  readonly endpoint: string | undefined;
  readonly region: string;
  readonly patienceMs: number;
  /** How long after it was made a queue may be used, in milliseconds. */
  readonly settleMs: number;
  /** Called last. */
  readonly stop?: () => Promise<void>;
}

/** The real adapter in front of an SQS endpoint, with credentials from the environment. Queues get a random prefix. */
export function endpointSubject(options: EndpointOptions): Subject {
  const { endpoint, region } = options;
  const clients = clientsOfOne(endpoint, { hosts: { endpoint, allowedHosts: [], defaultRegion: region } });
  const client = new SQSClient({
    region,
    ...(endpoint !== undefined && { endpoint }),
    useQueueUrlAsEndpoint: false,
  });
  const prefix = `bq-conformance-${randomBytes(4).toString('hex')}`;
  const made: QueueRef[] = [];
  const remove = async ({ url }: QueueRef) => {
    await client.send(new DeleteQueueCommand({ QueueUrl: url }));
  };
  return {
    name: options.name,
    port: new SqsMessageQueue(clients, systemClock),
    features: ALL_FEATURES,
    clock: systemClock,
    patienceMs: options.patienceMs,
    createQueue: async (spec) => {
      const name = `${prefix}-${made.length}${spec.fifo ? '.fifo' : ''}`;
      const place = made.push({ ...ANY_READER, url: '', arn: '' }) - 1;
      const queue = await createQueue(client, name, spec);
      made[place] =
        endpoint === undefined ? queue : { ...queue, url: endpoint + new URL(queue.url).pathname };
      await delay(options.settleMs);
      return made[place];
    },
    deleteQueue: remove,
    purge: async ({ url }) => {
      await client.send(new PurgeQueueCommand({ QueueUrl: url }));
    },
    send: (queue, message) => send(client, queue, message),
    receiveRepeatedly: async ({ url }) => {
      const command = () =>
        new ReceiveMessageCommand({ QueueUrl: url, WaitTimeSeconds: 1, ReceiveRequestAttemptId: prefix });
      return [await client.send(command()), await client.send(command())].map(({ Messages = [] }) =>
        Messages.map(({ MessageId: id = '', ReceiptHandle: receiptHandle = '' }) => ({ id, receiptHandle })),
      );
    },
    stop: async () => {
      // Those that a case has deleted are gone already.
      if (endpoint === undefined) await Promise.allSettled(made.map(remove));
      client.destroy();
      clients.destroy();
      await options.stop?.();
    },
  };
}

async function createQueue(client: SQSClient, name: string, spec: QueueSpec): Promise<QueueRef> {
  const command = new CreateQueueCommand({
    QueueName: name,
    Attributes: {
      ...(spec.fifo && { FifoQueue: 'true' }),
      ...(spec.visibilityTimeoutSeconds !== undefined && {
        VisibilityTimeout: String(spec.visibilityTimeoutSeconds),
      }),
      ...(spec.retentionSeconds !== undefined && { MessageRetentionPeriod: String(spec.retentionSeconds) }),
      ...(spec.maximumMessageSize !== undefined && { MaximumMessageSize: String(spec.maximumMessageSize) }),
      ...(spec.redrive && {
        RedrivePolicy: JSON.stringify({
          deadLetterTargetArn: spec.redrive.deadLetterArn,
          maxReceiveCount: spec.redrive.maxReceiveCount,
        }),
      }),
    },
  });
  const { QueueUrl: url = '' } = await client.send(command);
  const { Attributes } = await client.send(
    new GetQueueAttributesCommand({ QueueUrl: url, AttributeNames: ['QueueArn'] }),
  );
  return { ...ANY_READER, url, arn: Attributes?.QueueArn ?? '' };
}

async function send(client: SQSClient, { url }: QueueRef, message: OutgoingMessage): Promise<string> {
  const { body, groupId, deduplicationId, delaySeconds, traceHeader, messageAttributes = {} } = message;
  const attributes = Object.entries(messageAttributes).map(([name, value]) => [name, sdkValue(value)]);
  const command = new SendMessageCommand({
    QueueUrl: url,
    MessageBody: body,
    ...(groupId !== undefined && { MessageGroupId: groupId }),
    ...(deduplicationId !== undefined && { MessageDeduplicationId: deduplicationId }),
    ...(delaySeconds !== undefined && { DelaySeconds: delaySeconds }),
    ...(attributes.length > 0 && { MessageAttributes: Object.fromEntries(attributes) }),
    ...(traceHeader !== undefined && {
      MessageSystemAttributes: { AWSTraceHeader: { DataType: 'String', StringValue: traceHeader } },
    }),
  });
  return (await client.send(command)).MessageId ?? '';
}

function sdkValue({ dataType, stringValue, binaryValue }: MessageAttribute): MessageAttributeValue {
  return {
    DataType: dataType,
    ...(stringValue !== undefined && { StringValue: stringValue }),
    ...(binaryValue !== undefined && { BinaryValue: Buffer.from(binaryValue, 'base64') }),
  };
}
