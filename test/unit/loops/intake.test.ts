import { beforeEach, describe, expect, test } from '@jest/globals';
import { Intake } from '../../../operator/loops/intake.ts';
import type { IntakeTarget, Message } from '../../../operator/plan/types.ts';
import { aMessage, messageId, QUEUE } from '../../support/builders.ts';
import { sqsFailure } from '../../support/fake-sqs.ts';
import { MemoryLog } from '../../support/logs.ts';
import { StubQueue } from '../../support/stub-queue.ts';
import { VirtualClock } from '../../support/virtual-clock.ts';

const OTHER = { url: `${QUEUE.url}-2`, arn: `${QUEUE.arn}-2` };

let clock: VirtualClock;
let queue: StubQueue;
let intake: Intake;
let received: string[];
let problems: number;

beforeEach(() => {
  clock = new VirtualClock();
  queue = new StubQueue();
  received = [];
  problems = 0;
  intake = new Intake({
    queue,
    clock,
    random: () => 1,
    log: new MemoryLog(),
    onReceived: ({ id }) => received.push(id),
    onProblem: () => {
      problems += 1;
    },
  });
});

function target(room: number, parts: Partial<IntakeTarget> = {}): IntakeTarget {
  return { queue: QUEUE, room, perReceive: 10, visibilityTimeoutSeconds: 30, ...parts };
}

/** Messages with these numbers. */
function messages(...numbers: number[]): Message[] {
  return numbers.map((number) => aMessage({ id: messageId(number), sentAtMs: number }));
}

/** Answers the poll under way. */
async function bring(...numbers: number[]): Promise<void> {
  queue.receives.shift()?.answer(messages(...numbers));
  await clock.settle();
}

async function fail(code: string, verdict: 'retry' | 'terminal'): Promise<void> {
  queue.receives.shift()?.fail(sqsFailure(code, verdict));
  await clock.settle();
}

function asked(): number[] {
  return queue.receives.map(({ args }) => args.max);
}

describe('a poll', () => {
  test('asks for what can run, at most ten, and waits as long as SQS allows', () => {
    intake.setTarget(target(25, { visibilityTimeoutSeconds: 77 }));
    expect(queue.receives.map(({ args }) => args)).toEqual([
      { queue: QUEUE, max: 10, visibilityTimeoutSeconds: 77, waitSeconds: 20 },
    ]);
  });

  test.each([
    ['without a target', undefined],
    ['without a slot', target(0)],
  ])('is not started %s', async (_, given) => {
    intake.setTarget(given);
    await clock.advance(60_000);
    expect(queue.receives).toEqual([]);
  });

  test('is one at a time', () => {
    intake.setTarget(target(25));
    intake.setTarget(target(20));
    expect(queue.receives).toHaveLength(1);
  });

  test('counts what is in the inbox: never more is asked for than slots are left', async () => {
    intake.setTarget(target(5));
    expect(asked()).toEqual([5]);
    await bring(1, 2);
    expect(asked()).toEqual([3]);
    await bring(3, 4, 5);
    expect(asked()).toEqual([]);
  });

  test('counts Jobs created since the target was set', async () => {
    intake.setTarget(target(2));
    await bring(1, 2);
    const [first, second] = intake.inbox();
    if (first) intake.claimed([first]);
    expect(asked()).toEqual([]);
    if (second) intake.remove(second);
    expect(asked()).toEqual([1]);
  });

  test('begins again after an empty one, without a pause', async () => {
    intake.setTarget(target(1));
    await bring();
    expect(asked()).toEqual([1]);
  });

  test('goes on when the target is taken away, and what it brings is kept', async () => {
    intake.setTarget(target(2));
    intake.setTarget(undefined);
    await bring(1);
    expect(intake.inbox().map(({ id }) => id)).toEqual([messageId(1)]);
    expect(asked()).toEqual([]);
  });

  test('is made of the queue that the target names by then', async () => {
    intake.setTarget(target(2));
    intake.setTarget(target(2, { queue: OTHER }));
    await bring(1);
    expect(queue.receives.map(({ args }) => args.queue)).toEqual([OTHER]);
  });
});

describe('the inbox', () => {
  test('tells of every message before anything else happens with it, oldest first', async () => {
    intake.setTarget(target(5));
    await bring(3, 1, 2);
    expect(received).toEqual([3, 1, 2].map(messageId));
    expect(intake.inbox().map(({ id }) => id)).toEqual([1, 2, 3].map(messageId));
  });

  test('keeps the newest receive of a message, once', async () => {
    intake.setTarget(target(5));
    await bring(1);
    queue.receives.shift()?.answer([aMessage({ id: messageId(1), receiveCount: 2, receiptHandle: 'newer' })]);
    await clock.settle();
    queue.receives.shift()?.answer([aMessage({ id: messageId(1), receiveCount: 1, receiptHandle: 'older' })]);
    await clock.settle();
    expect(intake.inbox().map(({ receiptHandle }) => receiptHandle)).toEqual(['newer']);
    expect(received).toHaveLength(2);
  });

  test.each(['claimed', 'remove'] as const)('keeps a newer receive than the one that is %s', async (done) => {
    intake.setTarget(target(5));
    await bring(1);
    const [first] = intake.inbox();
    queue.receives.shift()?.answer([aMessage({ id: messageId(1), receiveCount: 2 })]);
    await clock.settle();
    if (first && done === 'claimed') intake.claimed([first]);
    if (first && done === 'remove') intake.remove(first);
    expect(intake.inbox()).toMatchObject([{ id: messageId(1), receiveCount: 2 }]);
  });
});

describe('a failing receive', () => {
  test('is tried again after delays that double up to half a minute', async () => {
    intake.setTarget(target(1));
    const delays: number[] = [];
    for (let failures = 0; failures < 9; failures += 1) {
      await fail('QueueUnreachable', 'retry');
      const beganAtMs = clock.now();
      while (queue.receives.length === 0) await clock.advance(100);
      delays.push(clock.now() - beganAtMs);
    }
    expect(delays).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000, 30_000]);
  });

  test('once is a hiccup; twice is a problem, told once, until it works again', async () => {
    intake.setTarget(target(1));
    await fail('QueueUnreachable', 'retry');
    expect([intake.problem(), problems]).toEqual([undefined, 0]);
    await clock.advance(30_000);
    await fail('QueueUnreachable', 'retry');
    expect(intake.problem()).toEqual({ reason: 'QueueUnreachable', message: 'sqs: QueueUnreachable' });
    await clock.advance(30_000);
    await fail('QueueUnreachable', 'retry');
    expect(problems).toBe(1);
    await clock.advance(30_000);
    await bring();
    expect([intake.problem(), problems]).toEqual([undefined, 2]);
  });

  test('that cannot work is told at once, and another reason too', async () => {
    intake.setTarget(target(1));
    await fail('QueueAccessDenied', 'terminal');
    expect(intake.problem()?.reason).toBe('QueueAccessDenied');
    await clock.advance(30_000);
    await fail('QueueNotFound', 'terminal');
    expect(intake.problem()?.reason).toBe('QueueNotFound');
    expect(problems).toBe(2);
  });

  test('of one queue does not keep the next one waiting', async () => {
    intake.setTarget(target(1));
    await fail('QueueNotFound', 'terminal');
    expect(queue.receives).toEqual([]);
    intake.setTarget(target(1, { queue: OTHER }));
    await clock.settle();
    expect(queue.receives.map(({ args }) => args.queue)).toEqual([OTHER]);
    expect(intake.problem()).toBeUndefined();
  });

  test('ends with the target', async () => {
    intake.setTarget(target(1));
    await fail('QueueUnreachable', 'retry');
    intake.setTarget(undefined);
    await clock.advance(60_000);
    expect(queue.receives).toEqual([]);
    expect(intake.isBusy()).toBe(false);
  });
});

describe('drain', () => {
  test('waits for the poll under way, keeps what it brings, and starts none', async () => {
    intake.setTarget(target(5));
    const state = { drained: false };
    void intake.drain().then(() => {
      state.drained = true;
    });
    await clock.settle();
    expect(state.drained).toBe(false);
    await bring(1);
    expect(state.drained).toBe(true);
    expect(intake.isBusy()).toBe(true);
    intake.setTarget(target(5));
    await clock.advance(60_000);
    expect(asked()).toEqual([]);
    expect(intake.inbox()).toHaveLength(1);
  });

  test('does not wait for a backoff', async () => {
    intake.setTarget(target(5));
    await fail('QueueUnreachable', 'retry');
    await intake.drain();
    expect(queue.receives).toEqual([]);
  });

  test('without a poll is done at once', async () => {
    await intake.drain();
    intake.setTarget(target(5));
    expect(asked()).toEqual([]);
  });
});

test('untilIdle waits for the poll under way and drains nothing', async () => {
  intake.setTarget(target(5));
  intake.setTarget(undefined);
  const idle = intake.untilIdle();
  await bring();
  await idle;
  expect(intake.isBusy()).toBe(false);
  intake.setTarget(target(5));
  expect(asked()).toEqual([5]);
});
