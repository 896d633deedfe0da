import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { systemClock } from '../../../operator/process/system-clock.ts';
import type { SqsClients } from '../../../operator/sqs/sqs-clients.ts';
import { SqsMessageQueue } from '../../../operator/sqs/sqs-message-queue.ts';
import { QUEUE } from '../../support/builders.ts';
import { eventually } from '../../support/eventually.ts';
import { clientsOfOne } from '../../support/one-identity.ts';
import { VirtualClock } from '../../support/virtual-clock.ts';

/** More than the SDK's own 50 sockets, six times over. */
const POLLS = 300;

/** SQS as far as sockets are concerned: a long poll is answered when the test says so, everything else at once. */
class SlowSqs {
  readonly #server: Server;
  readonly #polls: (() => void)[] = [];
  sockets = 0;
  /** What everything is answered with, if anything. */
  error: string | undefined;
  /** Access keys of the requests so far. */
  readonly keys: string[] = [];

  constructor() {
    this.#server = createServer((request, response) => {
      void text(request).then((body) => {
        this.keys.push(/Credential=(.+?)\/\d{8}\//.exec(String(request.headers.authorization))?.[1] ?? '');
        const operation = String(request.headers['x-amz-target']).split('.').at(-1);
        if (this.error !== undefined) refuse(response, this.error);
        else if (operation === 'ReceiveMessage') this.#polls.push(() => response.end('{}'));
        else response.end(JSON.stringify(successOf(JSON.parse(body))));
      });
    });
    this.#server.on('connection', (socket) => {
      this.sockets += 1;
      socket.on('close', () => {
        this.sockets -= 1;
      });
    });
  }

  async start(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    const address = this.#server.address();
    return `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
  }

  waiting(): number {
    return this.#polls.length;
  }

  answerPolls(): void {
    for (const answer of this.#polls.splice(0)) answer();
  }

  async stop(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }
}

function refuse(response: ServerResponse, error: string): void {
  response.writeHead(400, { 'content-type': 'application/x-amz-json-1.0' });
  response.end(JSON.stringify({ __type: error, message: 'no' }));
}

function successOf({ Entries = [] }: { Entries?: { Id: string }[] }): object {
  return { Successful: Entries.map(({ Id }) => ({ Id })), Failed: [] };
}

let sqs: SlowSqs;
let endpoint: string;
let clients: SqsClients;
let queue: SqsMessageQueue;

beforeEach(async () => {
  process.env['AWS_ACCESS_KEY_ID'] = 'test';
  process.env['AWS_SECRET_ACCESS_KEY'] = 'test';
  sqs = new SlowSqs();
  endpoint = await sqs.start();
  clients = clientsOfOne(endpoint);
  queue = new SqsMessageQueue(clients, systemClock);
});

afterEach(async () => {
  clients.destroy();
  await sqs.stop();
});

function poll(index: number) {
  const of = { ...QUEUE, url: `${QUEUE.url}-${index}`, arn: `${QUEUE.arn}-${index}` };
  return queue.receive(of, { max: 10, visibilityTimeoutSeconds: 300, waitSeconds: 20 });
}

async function msOf(work: Promise<unknown>): Promise<number> {
  const startedAtMs = performance.now();
  await work;
  return performance.now() - startedAtMs;
}

test('hundreds of polls that wait delay neither a delete, nor a renewal, nor each other', async () => {
  const entries = [{ id: 'a', receiptHandle: 'handle' }];
  const polls = Promise.all(Array.from({ length: POLLS }, (_, index) => poll(index)));
  await eventually(
    () => Promise.resolve(sqs.waiting()),
    (waiting) => waiting === POLLS,
    { what: 'every poll to be sent' },
  );
  expect(await msOf(queue.delete(QUEUE, entries))).toBeLessThan(1_000);
  expect(await msOf(queue.renew(QUEUE, entries, 300))).toBeLessThan(1_000);
  expect(await msOf(queue.changeVisibility(QUEUE, entries, 0))).toBeLessThan(1_000);
  expect(sqs.waiting()).toBe(POLLS);
  sqs.answerPolls();
  expect(await polls).toHaveLength(POLLS);
});

test('no socket is left when the clients are', async () => {
  const polls = Promise.all([poll(1), poll(2)]);
  await eventually(
    () => Promise.resolve(sqs.waiting()),
    (waiting) => waiting === 2,
    { what: 'both polls to be sent' },
  );
  sqs.answerPolls();
  await polls;
  clients.destroy();
  await eventually(
    () => Promise.resolve(sqs.sockets),
    (sockets) => sockets === 0,
    { what: 'the sockets to be closed' },
  );
});

test('each reader signs with its own credentials, and all share the sockets of a purpose', async () => {
  const clock = new VirtualClock();
  const asked: string[] = [];
  const byNamespace = clientsOfOne(endpoint, {
    clock,
    identities: {
      identityOf: ({ namespace, serviceAccountName: name }) => ({ kind: 'serviceAccount', namespace, name }),
      credentialsFor: (identity) => {
        const who = identity.kind === 'operator' ? 'operator' : `${identity.namespace}/${identity.name}`;
        const get = async () => {
          asked.push(who);
          return { accessKeyId: who, secretAccessKey: 'secret' };
        };
        return Object.assign(get, { memoized: true } as const);
      },
    },
  });
  const ofAll = new SqsMessageQueue(byNamespace, systemClock);
  const entries = [{ id: 'a', receiptHandle: 'handle' }];
  for (let number = 0; number < 50; number += 1)
    await ofAll.renew({ ...QUEUE, namespace: `team-${number % 25}` }, entries, 30);
  expect(new Set(asked)).toEqual(new Set(sqs.keys));
  expect(sqs.keys).toHaveLength(50);
  expect(new Set(sqs.keys).size).toBe(25);
  expect(sqs.sockets).toBe(1);

  const reader = { ...QUEUE, namespace: 'team-1' };
  const before = byNamespace.clientFor(reader, 'renew');
  expect(byNamespace.clientFor(reader, 'renew')).toBe(before);
  await clock.advance(30 * 60_000);
  expect(clock.pending()).toBe(0);
  expect(byNamespace.clientFor(reader, 'renew')).not.toBe(before);
  byNamespace.destroy();
  expect(clock.pending()).toBe(0);
});

test('credentials that SQS does not take are told of, and others are not', async () => {
  let refusals = 0;
  const get = async () => ({ accessKeyId: 'key', secretAccessKey: 'secret' });
  const refused = () => {
    refusals += 1;
  };
  const refusing = clientsOfOne(endpoint, {
    identities: {
      identityOf: () => ({ kind: 'serviceAccount', namespace: 'team-a', name: 'poller' }),
      credentialsFor: () => Object.assign(get, { memoized: true, refused } as const),
    },
  });
  const ofOne = new SqsMessageQueue(refusing, systemClock);
  for (const [error, expected] of [
    ['AccessDenied', 0],
    ['InvalidClientTokenId', 1],
    ['ExpiredTokenException', 2],
  ] as const) {
    sqs.error = error;
    await ofOne.describe(QUEUE).catch(() => undefined);
    expect([error, refusals]).toEqual([error, expected]);
  }
  refusing.destroy();
});

test('a session that is narrowed to one queue signs for no other', () => {
  const narrowed = clientsOfOne(endpoint, {
    identities: {
      identityOf: ({ url }) => ({
        kind: 'serviceAccount',
        namespace: 'team-a',
        name: 'poller',
        queueArn: url,
      }),
      credentialsFor: () =>
        Object.assign(async () => ({ accessKeyId: 'k', secretAccessKey: 's' }), { memoized: true } as const),
    },
  });
  const other = { ...QUEUE, url: `${QUEUE.url}-2` };
  expect(narrowed.clientFor(QUEUE, 'settle')).toBe(narrowed.clientFor(QUEUE, 'settle'));
  expect(narrowed.clientFor(other, 'settle')).not.toBe(narrowed.clientFor(QUEUE, 'settle'));
  narrowed.destroy();
});
