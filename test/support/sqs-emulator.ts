import type { AddressInfo } from 'node:net';
import {
  CreateQueueCommand,
  GetQueueAttributesCommand,
  ReceiveMessageCommand,
  SendMessageCommand,
  SQSClient,
} from '@aws-sdk/client-sqs';
import { buildApp } from 'fauxqs';

/** Anything goes: the emulator checks no signatures. */
export const EMULATOR_CREDENTIALS = { accessKeyId: 'emulator', secretAccessKey: 'emulator' };
export const EMULATOR_REGION = 'us-east-1';

/** An SQS emulator in this process that speaks the real protocol, with a client for tests. */
export interface SqsEmulator {
  readonly endpoint: string;
  readonly client: SQSClient;
  /** Creates a queue and returns its URL; with `deadLetter`, also a dead-letter queue of that name. */
  createQueue(name: string, redrive?: { deadLetter: string; maxReceiveCount: number }): Promise<string>;
  send(url: string, body: string): Promise<string>;
  /** Counts of messages: waiting and in flight. */
  counts(url: string): Promise<{ visible: number; inFlight: number }>;
  /** Takes up to ten messages out of a queue (they stay in flight for the queue's timeout). */
  receive(url: string): Promise<{ id: string; body: string }[]>;
  stop(): Promise<void>;
}

/** Listens on `address` only (a free port unless given), never on all interfaces. */
export async function startSqsEmulator(
  options: { address?: string; port?: number } = {},
): Promise<SqsEmulator> {
  const { address = '127.0.0.1', port = 0 } = options;
  const app = buildApp({ logger: false, defaultRegion: EMULATOR_REGION });
  await app.listen({ host: address, port });
  const bound = app.server.address();
  const endpoint = `http://${address}:${isAddressInfo(bound) ? bound.port : port}`;
  const client = new SQSClient({
    endpoint,
    region: EMULATOR_REGION,
    credentials: EMULATOR_CREDENTIALS,
    useQueueUrlAsEndpoint: false,
  });
  return {
    endpoint,
    client,
    // The emulator would name a host of its own; this one can be reached by whoever reaches the emulator.
    createQueue: async (name, redrive) => {
      const url = await createQueue(client, name, redrive);
      return `${endpoint}${new URL(url).pathname}`;
    },
    send: async (url, body) => {
      const answer = await client.send(new SendMessageCommand({ QueueUrl: url, MessageBody: body }));
      return answer.MessageId ?? '';
    },
    counts: (url) => counts(client, url),
    receive: async (url) => {
      const answer = await client.send(new ReceiveMessageCommand({ QueueUrl: url, MaxNumberOfMessages: 10 }));
      return (answer.Messages ?? []).map(({ MessageId = '', Body = '' }) => ({ id: MessageId, body: Body }));
    },
    stop: async () => {
      client.destroy();
      // Long polls of clients that are gone would keep the server open until they end.
      app.server.closeAllConnections();
      await app.close();
    },
  };
}

async function createQueue(
  client: SQSClient,
  name: string,
  redrive?: { deadLetter: string; maxReceiveCount: number },
): Promise<string> {
  const kind = name.endsWith('.fifo') ? { FifoQueue: 'true' } : undefined;
  if (!redrive) {
    const made = await client.send(new CreateQueueCommand({ QueueName: name, Attributes: kind }));
    return made.QueueUrl ?? '';
  }
  const { QueueUrl } = await client.send(
    new CreateQueueCommand({ QueueName: redrive.deadLetter, Attributes: kind }),
  );
  const { Attributes } = await client.send(
    new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['QueueArn'] }),
  );
  const policy = { deadLetterTargetArn: Attributes?.QueueArn, maxReceiveCount: redrive.maxReceiveCount };
  const answer = await client.send(
    new CreateQueueCommand({
      QueueName: name,
      Attributes: { ...kind, RedrivePolicy: JSON.stringify(policy) },
    }),
  );
  return answer.QueueUrl ?? '';
}

async function counts(client: SQSClient, url: string): Promise<{ visible: number; inFlight: number }> {
  const { Attributes = {} } = await client.send(
    new GetQueueAttributesCommand({ QueueUrl: url, AttributeNames: ['All'] }),
  );
  return {
    visible: Number(Attributes['ApproximateNumberOfMessages'] ?? 0),
    inFlight: Number(Attributes['ApproximateNumberOfMessagesNotVisible'] ?? 0),
  };
}

function isAddressInfo(address: AddressInfo | string | null): address is AddressInfo {
  return typeof address === 'object' && address !== null;
}
