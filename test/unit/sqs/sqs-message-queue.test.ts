import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { z } from 'zod';
import type { QueueRef } from '../../../operator/plan/message.ts';
import type { SqsClients } from '../../../operator/sqs/sqs-clients.ts';
import { SqsMessageQueue } from '../../../operator/sqs/sqs-message-queue.ts';
import type { DeadLetterCopy, EntryResult } from '../../../operator/world.ts';
import { QUEUE } from '../../support/builders.ts';
import { clientsOfOne } from '../../support/one-identity.ts';
import { type ScriptedAnswer, type ScriptedRequest, ScriptedSqs } from '../../support/scripted-sqs.ts';
import { VirtualClock } from '../../support/virtual-clock.ts';

const FIFO: QueueRef = { ...QUEUE, url: `${QUEUE.url}.fifo`, arn: `${QUEUE.arn}.fifo` };
const RECEIVED = { MessageId: 'm', ReceiptHandle: 'h', Body: 'b', MD5OfBody: md5('b') };
const RECEIVE = { max: 5, visibilityTimeoutSeconds: 60, waitSeconds: 20 };

let sqs: ScriptedSqs;
let clients: SqsClients;
let clock: VirtualClock;
let queue: SqsMessageQueue;

beforeEach(async () => {
  process.env['AWS_ACCESS_KEY_ID'] = 'test';
  process.env['AWS_SECRET_ACCESS_KEY'] = 'test';
  sqs = await ScriptedSqs.start();
  clients = clientsOfOne(sqs.endpoint());
  clock = new VirtualClock();
  queue = new SqsMessageQueue(clients, clock);
});

afterEach(async () => {
  clients.destroy();
  await sqs.stop();
});

const batchSchema = z.object({
  Entries: z.array(z.object({ Id: z.string(), MessageBody: z.string().default('') })),
});

/** Answers a batch request: every entry went well but those with a failure at their position. */
function batchAnswer(request: ScriptedRequest, failures: Record<string, object> = {}): ScriptedAnswer {
  const { Entries } = batchSchema.parse(request.body);
  const done = Entries.filter(({ Id }) => !(Id in failures));
  return {
    ok: {
      Successful: done.map(({ Id, MessageBody }) => ({ Id, MD5OfMessageBody: md5(MessageBody) })),
      Failed: Object.entries(failures).map(([Id, failure]) => Object.assign({ Id }, failure)),
    },
  };
}

function md5(text: string): string {
  return createHash('md5').update(text).digest('hex');
}

function entries(count: number): { id: string; receiptHandle: string }[] {
  return Array.from({ length: count }, (_, index) => ({ id: `m${index}`, receiptHandle: `handle-${index}` }));
}

function outcome(results: readonly EntryResult[]): string[] {
  return results.map(({ id, error }) => `${id} ${error?.code ?? 'done'}`);
}

describe('a receive', () => {
  test('brings messages with their times: sent, asked for, arrived', async () => {
    sqs.answer = async () => {
      await clock.advance(7_000);
      const Attributes = { SentTimestamp: '1700000000000', ApproximateReceiveCount: '4' };
      return { ok: { Messages: [{ ...RECEIVED, Attributes }] } };
    };
    const startedAtMs = clock.now();
    expect(await queue.receive(QUEUE, RECEIVE)).toEqual([
      {
        queue: QUEUE,
        id: 'm',
        receiptHandle: 'h',
        body: 'b',
        receiveCount: 4,
        sentAtMs: 1_700_000_000_000,
        receivedAtMs: startedAtMs,
        arrivedAtMs: startedAtMs + 7_000,
        visibilityTimeoutSeconds: 60,
        attributes: { SentTimestamp: '1700000000000', ApproximateReceiveCount: '4' },
        messageAttributes: {},
      },
    ]);
    expect(sqs.requests[0]?.body).toMatchObject({
      QueueUrl: QUEUE.url,
      MaxNumberOfMessages: 5,
      VisibilityTimeout: 60,
      WaitTimeSeconds: 20,
      MessageSystemAttributeNames: ['All'],
      MessageAttributeNames: ['All'],
    });
  });

  test('that brings nothing has no list at all on the wire', async () => {
    expect(await queue.receive(QUEUE, RECEIVE)).toEqual([]);
  });

  test.each<[string, ScriptedAnswer, string]>([
    ['a refusal', { error: 'RequestThrottled', status: 403 }, 'Throttled'],
    ['a failure', { error: 'InternalFailure', status: 500 }, 'QueueUnreachable'],
    ['a lost answer', 'lost', 'QueueUnreachable'],
  ])('is asked for once: %s is left to the loop, which backs off', async (_, answer, code) => {
    sqs.answer = () => answer;
    await expect(queue.receive(QUEUE, RECEIVE)).rejects.toMatchObject({ code });
    expect(sqs.requests).toHaveLength(1);
  });
});

describe('a receive of a FIFO queue', () => {
  /** The ids of the attempts made, each new one with the next letter. */
  function attempts(): string {
    const ids = sqs.requests.map(({ body }) => String(body['ReceiveRequestAttemptId']));
    const known = [...new Set(ids)];
    expect(known).not.toContain('undefined');
    return ids.map((id) => String.fromCodePoint(97 + known.indexOf(id))).join('');
  }

  async function receive(answer: ScriptedAnswer, options = RECEIVE, from = FIFO) {
    sqs.answer = () => answer;
    return await queue.receive(from, options).catch(() => undefined);
  }

  const message = { ok: { Messages: [RECEIVED] } };
  const failed = { error: 'ServiceUnavailable', status: 503 };

  test('whose answer was lost is repeated by the next one, and counts from its first request', async () => {
    const startedAtMs = clock.now();
    await receive('lost');
    await clock.advance(10_000);
    await receive(failed);
    await clock.advance(10_000);
    expect(await receive(message)).toMatchObject([{ receivedAtMs: startedAtMs, arrivedAtMs: clock.now() }]);
    await receive(message);
    expect(attempts()).toBe('aaab');
  });

  test('that SQS refused is not repeated: its id is worth nothing after that', async () => {
    await receive({ error: 'RequestThrottled', status: 403 });
    await receive({
      error: 'InvalidParameterValue',
      message: 'Value x for parameter ReceiveRequestAttemptId is invalid. Reason: The call is not retryable.',
    });
    await receive(message);
    expect(attempts()).toBe('abb');
  });

  test.each<[string, () => Promise<unknown>]>([
    ['for another number of messages', () => receive(message, { ...RECEIVE, max: 4 })],
    ['for another timeout', () => receive(message, { ...RECEIVE, visibilityTimeoutSeconds: 61 })],
    ['of another queue', () => receive(message, RECEIVE, { ...FIFO, url: `${QUEUE.url}2.fifo` })],
    ['that comes too late to claim anything', () => clock.advance(50_000).then(() => receive(message))],
  ])('that was lost is not repeated by one %s', async (_, next) => {
    await receive('lost');
    await next();
    expect(attempts()).toBe('ab');
  });

  test('that was lost is not repeated when SQS may have forgotten it', async () => {
    const long = { ...RECEIVE, visibilityTimeoutSeconds: 3_600 };
    await receive('lost', long);
    await clock.advance(239_999);
    await receive('lost', long);
    await clock.advance(1);
    await receive(message, long);
    expect(attempts()).toBe('aab');
  });

  test('does not take over one that is still under way', async () => {
    const release = Promise.withResolvers<ScriptedAnswer>();
    sqs.answer = () => release.promise;
    const two = [queue.receive(FIFO, RECEIVE), queue.receive(FIFO, RECEIVE)];
    release.resolve('lost');
    await Promise.allSettled(two);
    sqs.answer = () => message;
    await Promise.all([queue.receive(FIFO, RECEIVE), queue.receive(FIFO, RECEIVE)]);
    await queue.receive(FIFO, RECEIVE);
    expect(attempts()).toBe('ababc');
  });
});

test('a receive of a standard queue is never repeated, because nothing is locked by it', async () => {
  sqs.answer = () => 'lost';
  await queue.receive(QUEUE, RECEIVE).catch(() => undefined);
  sqs.answer = () => ({ ok: {} });
  await queue.receive(QUEUE, RECEIVE);
  expect(sqs.requests.map(({ body }) => 'ReceiveRequestAttemptId' in body)).toEqual([false, false]);
});

describe('a right', () => {
  test.each(['DeleteMessage', 'ChangeMessageVisibility'] as const)(
    "%s is tried with nobody's receipt handle",
    async (right) => {
      for (const error of ['ReceiptHandleIsInvalid', 'MessageNotInflight']) {
        sqs.answer = () => ({ error, status: 404 });
        await queue.tryRight(QUEUE, right);
      }
      sqs.answer = () => ({ error: 'AccessDenied', status: 403 });
      await expect(queue.tryRight(QUEUE, right)).rejects.toMatchObject({
        code: 'QueueAccessDenied',
        message: expect.stringContaining(`${right}: AccessDenied`),
      });
      expect(sqs.requests.map(({ operation }) => operation)).toEqual([right, right, right]);
      for (const { body } of sqs.requests)
        expect(body).toMatchObject({ QueueUrl: QUEUE.url, ReceiptHandle: 'batchqueue-tries-its-rights' });
    },
  );
});

describe('a batch call', () => {
  const calls: [string, (count: number, of?: QueueRef) => Promise<readonly EntryResult[]>][] = [
    ['delete', (count, of = QUEUE) => queue.delete(of, entries(count))],
    ['changeVisibility', (count, of = QUEUE) => queue.changeVisibility(of, entries(count), 30)],
    ['renew', (count, of = QUEUE) => queue.renew(of, entries(count), 30)],
    [
      'sendToDeadLetter',
      (count, of = QUEUE) =>
        queue.sendToDeadLetter(
          of,
          `${of.arn}-dead`,
          entries(count).map(({ id }) => aCopy({ id })),
        ),
    ],
  ];

  test.each(calls)('%s of nothing asks for nothing', async (_, call) => {
    expect(await call(0)).toEqual([]);
    expect(sqs.requests).toEqual([]);
  });

  test.each(calls)('%s takes any number of entries, ten in a request', async (_, call) => {
    sqs.answer = batchAnswer;
    expect(outcome(await call(23))).toEqual(entries(23).map(({ id }) => `${id} done`));
    const sizes = sqs.requests.map(({ body }) => batchSchema.parse(body).Entries.length);
    expect(sizes.toSorted((a, b) => b - a)).toEqual([10, 10, 3]);
  });

  test.each(calls)('%s answers for each entry what SQS says of it', async (_, call) => {
    sqs.answer = (request) =>
      batchAnswer(request, {
        '1': { Code: 'InternalError', SenderFault: false },
        '2': { Code: 'KmsThrottled', Message: 'rate', SenderFault: true },
        '3': { Code: 'ReceiptHandleIsInvalid', SenderFault: true },
      });
    expect(outcome(await call(5))).toEqual([
      'm0 done',
      'm1 QueueUnreachable',
      'm2 Throttled',
      `m3 LeaseLost`,
      'm4 done',
    ]);
  });

  test.each(calls)('%s that fails as a whole fails each entry, and no other batch', async (_, call) => {
    let batches = 0;
    sqs.answer = (request) => {
      batches += batchSchema.parse(request.body).Entries.length === 10 ? 1 : 0;
      const isShort = batchSchema.parse(request.body).Entries.length < 10;
      return isShort ? { error: 'OverLimit', status: 403 } : batchAnswer(request);
    };
    const results = await call(12);
    expect(outcome(results).slice(8)).toEqual(['m8 done', 'm9 done', 'm10 Throttled', 'm11 Throttled']);
    expect(batches).toBe(1);
  });

  test.each(calls)('%s takes an entry that the answer does not mention for failed', async (_, call) => {
    sqs.answer = () => ({ ok: { Successful: [], Failed: [] } });
    expect(outcome(await call(1))).toEqual(['m0 QueueUnreachable']);
  });

  test.each(calls)('%s to a host that is not allowed fails each entry without asking', async (_, call) => {
    const elsewhere = { ...QUEUE, url: 'https://sqs.evil.test/123456789012/orders' };
    expect(outcome(await call(2, elsewhere))).toEqual(['m0 HostNotAllowed', 'm1 HostNotAllowed']);
    expect(sqs.requests).toEqual([]);
  });

  test.each<[string, ScriptedAnswer, number]>([
    ['KmsThrottled', { error: 'KmsThrottled', queryCode: 'KMS.ThrottlingException' }, 1],
    ['OverLimit', { error: 'OverLimit', status: 403 }, 1],
    ['RequestThrottled', { error: 'RequestThrottled', status: 403 }, 3],
    ['ServiceUnavailable', { error: 'ServiceUnavailable', status: 503 }, 3],
    ['a lost answer', 'lost', 3],
  ])('is repeated by the SDK or left to the operator (%s)', async (_, answer, times) => {
    sqs.answer = () => answer;
    const [result] = await queue.delete(QUEUE, entries(1));
    expect(result?.error).toMatchObject({ verdict: 'retry', outcomeUnknown: false });
    expect(sqs.requests).toHaveLength(times);
  });
});

test('a renewal that hangs is sent again while the shortest lease still holds', async () => {
  sqs.answer = (request) =>
    sqs.requests.length === 1 ? new Promise<never>(() => undefined) : batchAnswer(request);
  const startedAtMs = Date.now();
  expect(outcome(await queue.renew(QUEUE, entries(1), 10))).toEqual(['m0 done']);
  expect(sqs.requests).toHaveLength(2);
  expect(Date.now() - startedAtMs).toBeLessThan(6_000);
}, 10_000);

test.each([
  ['a queue that is gone', 'QueueDoesNotExist', 'AWS.SimpleQueueService.NonExistentQueue', 'QueueNotFound'],
  ['a refused handle', 'ReceiptHandleIsInvalid', 'ReceiptHandleIsInvalid', 'LeaseLost'],
  ['a refused identity', 'AccessDeniedException', undefined, 'QueueAccessDenied'],
])('%s is known by what stands on the wire', async (_, error, queryCode, code) => {
  sqs.answer = () => ({ error, ...(queryCode !== undefined && { queryCode }) });
  expect(outcome(await queue.delete(QUEUE, entries(1)))).toEqual([`m0 ${code}`]);
});

test('on a FIFO queue a delete that came too late is lost, not done', async () => {
  const text =
    'Value handle-1 for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired.';
  sqs.answer = (request) => batchAnswer(request, { '1': { Code: 'InvalidParameterValue', Message: text } });
  const results = await queue.delete(FIFO, entries(2));
  expect(outcome(results)).toEqual(['m0 done', 'm1 LeaseLost']);
  expect(results[1]?.error?.verdict).toBe('lost');
});

test.each([
  ['delete', () => queue.delete(FIFO, entries(30))],
  ['changeVisibility', () => queue.changeVisibility(FIFO, entries(30), 0)],
])('on a FIFO queue the batches of %s are sent one after the other', async (_, call) => {
  let open = 0;
  let most = 0;
  sqs.answer = async (request) => {
    open += 1;
    most = Math.max(most, open);
    await new Promise((resolve) => setTimeout(resolve, 5));
    open -= 1;
    return batchAnswer(request);
  };
  expect((await call()).map(({ id }) => id)).toEqual(entries(30).map(({ id }) => id));
  expect(most).toBe(1);
});

describe('attributes', () => {
  test('of an encrypted FIFO queue with a redrive policy', async () => {
    sqs.answer = () => ({
      ok: {
        Attributes: {
          QueueArn: FIFO.arn,
          ApproximateNumberOfMessages: '3',
          ApproximateNumberOfMessagesNotVisible: '2',
          ApproximateNumberOfMessagesDelayed: '1',
          MessageRetentionPeriod: '1209600',
          FifoQueue: 'true',
          KmsMasterKeyId: 'alias/orders',
          RedrivePolicy: '{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:1:d.fifo","maxReceiveCount":"4"}',
        },
      },
    });
    expect(await queue.describe(FIFO)).toEqual({
      arn: FIFO.arn,
      visible: 3,
      inFlight: 2,
      delayed: 1,
      deadLetterArn: 'arn:aws:sqs:us-east-1:1:d.fifo',
      maxReceiveCount: 4,
      retentionSeconds: 1_209_600,
      fifo: true,
      kmsKeyId: 'alias/orders',
    });
  });

  test.each(['', 'not json', '[]', '{"maxReceiveCount":{}}'])(
    'of a standard queue whose redrive policy is %j',
    async (RedrivePolicy) => {
      sqs.answer = () => ({ ok: { Attributes: { QueueArn: QUEUE.arn, RedrivePolicy } } });
      expect(await queue.describe(QUEUE)).toMatchObject({
        fifo: false,
        kmsKeyId: undefined,
        retentionSeconds: 1_209_600,
        deadLetterArn: undefined,
        maxReceiveCount: undefined,
      });
    },
  );
});

function aCopy(parts: Partial<DeadLetterCopy> = {}): DeadLetterCopy {
  return {
    id: 'm',
    body: 'body',
    attributes: {},
    messageAttributes: {},
    reason: 'EX_DATAERR: no such column',
    job: 'orders-abc',
    ...parts,
  };
}
