import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { SqsClients } from '../../../operator/sqs/sqs-clients.ts';
import { SqsMessageQueue } from '../../../operator/sqs/sqs-message-queue.ts';
import { QUEUE } from '../../support/builders.ts';
import { ClosableFence } from '../../support/closable-fence.ts';
import { clientsOfOne } from '../../support/one-identity.ts';
import { EMULATOR_CREDENTIALS } from '../../support/sqs-emulator.ts';
import { VirtualClock } from '../../support/virtual-clock.ts';

const ENTRY = { id: 'a', receiptHandle: 'handle' };
const POLL = { max: 1, visibilityTimeoutSeconds: 30, waitSeconds: 0 };

let server: Server;
let fence: ClosableFence;
let clients: SqsClients;
let queue: SqsMessageQueue;
let received: string[];
/** Called for every request; the status of its answer. */
let status: () => number;
let environment: NodeJS.ProcessEnv;

beforeEach(async () => {
  received = [];
  status = () => 200;
  server = createServer((request, response) => {
    received.push(String(request.headers['x-amz-target']).replace('AmazonSQS.', ''));
    request.resume();
    response.writeHead(status(), { 'content-type': 'application/x-amz-json-1.0' });
    response.end(JSON.stringify({ Successful: [], Failed: [] }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const endpoint = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`;
  environment = { ...process.env };
  process.env['AWS_ACCESS_KEY_ID'] = EMULATOR_CREDENTIALS.accessKeyId;
  process.env['AWS_SECRET_ACCESS_KEY'] = EMULATOR_CREDENTIALS.secretAccessKey;
  fence = new ClosableFence();
  clients = clientsOfOne(endpoint, { fence });
  queue = new SqsMessageQueue(clients, new VirtualClock());
});

afterEach(() => {
  process.env = environment;
  clients.destroy();
  server.closeAllConnections();
  server.close();
});

describe('behind the fence', () => {
  test('a delete and a release are refused, entry by entry', async () => {
    fence.narrow('claim');
    for (const results of [
      await queue.delete(QUEUE, [ENTRY]),
      await queue.changeVisibility(QUEUE, [ENTRY], 0),
    ])
      expect(results).toMatchObject([{ id: 'a', error: { code: 'NotLeader', verdict: 'retry' } }]);
    expect(received).toEqual([]);
  });

  test('a renewal and a look at the queue are not', async () => {
    fence.narrow();
    await queue.renew(QUEUE, [ENTRY], 30);
    await queue.describe(QUEUE);
    expect(received).toEqual(['ChangeMessageVisibilityBatch', 'GetQueueAttributes']);
  });

  test('a repetition is judged anew: the process may have slept in between', async () => {
    status = () => {
      fence.narrow();
      return 500;
    };
    const results = await queue.delete(QUEUE, [ENTRY]);
    expect(results).toMatchObject([{ error: { code: 'NotLeader' } }]);
    expect(received).toEqual(['DeleteMessageBatch']);
  });

  test('a poll waits for as long as that may change, and then brings nothing', async () => {
    fence.close();
    let messages: readonly unknown[] | undefined;
    const poll = queue.receive(QUEUE, POLL).then((answer) => {
      messages = answer;
    });
    await new Promise((resolve) => {
      setTimeout(resolve, 50);
    });
    expect(messages).toBeUndefined();
    fence.narrow('lead', 'claim');
    await poll;
    expect(messages).toEqual([]);
    expect(received).toEqual([]);
    await queue.receive(QUEUE, POLL);
    expect(received).toEqual(['ReceiveMessage']);
  });

  test('a poll is refused when it will never be permitted again', async () => {
    fence.narrow('claim');
    await expect(queue.receive(QUEUE, POLL)).rejects.toMatchObject({ code: 'NotLeader' });
    expect(received).toEqual([]);
  });
});
