import { setImmediate } from 'node:timers/promises';
import { beforeEach, describe, expect, test } from '@jest/globals';
import type { QueueRef } from '../../../operator/plan/message.ts';
import { GatheredCalls } from '../../../operator/sqs/gathered-calls.ts';
import type { EntryResult } from '../../../operator/world.ts';
import { sqsFailure } from '../../simulation/sqs/failures.ts';
import { QUEUE } from '../../support/builders.ts';

const OTHER: QueueRef = { ...QUEUE, url: `${QUEUE.url}-2`, arn: `${QUEUE.arn}-2` };

interface Request {
  readonly queue: QueueRef;
  readonly ids: readonly string[];
  readonly answer: (results?: readonly EntryResult[]) => Promise<void>;
  readonly fail: (error: unknown) => Promise<void>;
}

let requests: Request[];
let calls: GatheredCalls;

beforeEach(() => {
  requests = [];
  calls = new GatheredCalls((queue, entries) => {
    const { promise, resolve, reject } = Promise.withResolvers<readonly EntryResult[]>();
    const ids = entries.map(({ id }) => id);
    requests.push({
      queue,
      ids,
      answer: async (results = ids.map((id) => ({ id, error: undefined }))) => {
        resolve(results);
        await setImmediate();
      },
      fail: async (error) => {
        reject(error);
        await setImmediate();
      },
    });
    return promise;
  });
});

/** One entry per number, from as many callers; `outcomes` fills as they are answered. */
async function callEach(numbers: readonly number[], outcomes: string[] = [], queue = QUEUE): Promise<void> {
  for (const number of numbers) {
    const entry = { id: String(number), receiptHandle: `handle-${number}` };
    void calls.call(queue, [entry]).then(
      ([result]) => outcomes.push(`${result?.id} ${result?.error?.code ?? 'done'}`),
      (error: unknown) => outcomes.push(`${number} ${String(error)}`),
    );
  }
  await setImmediate();
}

function sizes(): number[] {
  return requests.map(({ ids }) => ids.length);
}

describe('calls of the same moment', () => {
  test('are one request, and each caller gets its own result', async () => {
    const outcomes: string[] = [];
    await callEach([1, 2, 3], outcomes);
    expect(requests.map(({ ids }) => ids)).toEqual([['1', '2', '3']]);
    await requests[0]?.answer([
      { id: '1', error: undefined },
      { id: '2', error: sqsFailure('LeaseLost', 'lost') },
      { id: '3', error: undefined },
    ]);
    expect(outcomes).toEqual(['1 done', '2 LeaseLost', '3 done']);
  });

  test('are as many requests as SQS needs; what is left over waits for one of them', async () => {
    await callEach(Array.from({ length: 23 }, (_, index) => index));
    expect(sizes()).toEqual([10, 10]);
    await requests[1]?.answer();
    expect(sizes()).toEqual([10, 10]);
    await requests[0]?.answer();
    expect(sizes()).toEqual([10, 10, 3]);
  });

  test('of one caller with many entries are answered in their order', async () => {
    const entries = Array.from({ length: 12 }, (_, index) => ({ id: `m${index}`, receiptHandle: 'h' }));
    const results = calls.call(QUEUE, entries);
    await setImmediate();
    await requests[0]?.answer();
    await requests[1]?.answer();
    expect((await results).map(({ id }) => id)).toEqual(entries.map(({ id }) => id));
  });
});

describe('a call while a request is under way', () => {
  test('waits for it, and goes with the others that came meanwhile', async () => {
    await callEach([1]);
    await callEach([2]);
    await callEach([3, 4]);
    expect(sizes()).toEqual([1]);
    await requests[0]?.answer();
    expect(requests.map(({ ids }) => ids)).toEqual([['1'], ['2', '3', '4']]);
  });

  test('waits no longer than until a batch is full', async () => {
    await callEach([1]);
    await callEach([2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect(sizes()).toEqual([1]);
    await callEach([11]);
    expect(sizes()).toEqual([1, 10]);
  });

  test('of another queue does not wait', async () => {
    await callEach([1]);
    await callEach([2], [], OTHER);
    expect(requests.map(({ queue }) => queue)).toEqual([QUEUE, OTHER]);
  });
});

test('a request that fails fails its callers, and not those after it', async () => {
  const outcomes: string[] = [];
  await callEach([1, 2], outcomes);
  await callEach([3], outcomes);
  await requests[0]?.fail('no network');
  await requests[1]?.answer();
  expect(outcomes).toEqual(['1 no network', '2 no network', '3 done']);
});
