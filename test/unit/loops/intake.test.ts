import { beforeEach, describe, expect, test } from '@jest/globals';
import { Intake } from '../../../operator/loops/intake.ts';
import type { Message } from '../../../operator/plan/message.ts';
import type { IntakeTarget } from '../../../operator/plan/plan.ts';
import { sqsFailure } from '../../simulation/sqs/failures.ts';
import { aMessage, messageId, QUEUE } from '../../support/builders.ts';
import { MemoryLog } from '../../support/logs.ts';
import { StubQueue } from '../../support/stub-queue.ts';
import { VirtualClock } from '../../support/virtual-clock.ts';

const OTHER = { ...QUEUE, url: `${QUEUE.url}-2`, arn: `${QUEUE.arn}-2` };

let clock: VirtualClock;
let queue: StubQueue;
let intake: Intake;
let received: string[];
let changes: number;

beforeEach(() => {
  clock = new VirtualClock();
  queue = new StubQueue();
  received = [];
  changes = 0;
  intake = new Intake({
    queue,
    clock,
    random: () => 1,
    log: new MemoryLog(),
    onReceived: ({ id }) => received.push(id),
    onChange: () => {
      changes += 1;
    },
  });
});

function target(room: number, parts: Partial<IntakeTarget> = {}): IntakeTarget {
  return { queue: QUEUE, room, perJob: 1, perReceive: 10, visibilityTimeoutSeconds: 30, ...parts };
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
    ['without room', target(0)],
  ])('is not started %s', async (_, given) => {
    intake.setTarget(given);
    await clock.advance(60_000);
    expect(queue.receives).toEqual([]);
  });

  test('is one at a time while the queue is at rest', async () => {
    intake.setTarget(target(100));
    intake.setTarget(target(90));
    expect(asked()).toEqual([10]);
    await bring();
    await bring(1, 2, 3);
    await bring(4, 5, 6, 7, 8, 9, 10, 11, 12);
    expect(queue.receives.map(({ args }) => args.waitSeconds)).toEqual([20]);
  });

  test('asks for no more than the queue allows per receive', () => {
    intake.setTarget(target(25, { perReceive: 3 }));
    expect(asked()).toEqual([3]);
  });

  test('counts what is in the inbox: never more is asked for than there is room', async () => {
    intake.setTarget(target(5));
    expect(asked()).toEqual([5]);
    await bring(1, 2);
    expect(asked()).toEqual([3]);
    await bring(3, 4, 5);
    expect(asked()).toEqual([]);
  });

  test('counts Jobs created since the target was set, also what they leave unused', async () => {
    intake.setTarget(target(9, { perJob: 8 }));
    await bring(1, 2, 3, 4, 5, 6);
    expect(asked()).toEqual([3]);
    intake.claimed(intake.inbox().slice(0, 5));
    await bring();
    expect(asked()).toEqual([]);
    intake.remove(aMessage({ id: messageId(6) }));
    expect(asked()).toEqual([1]);
  });

  test('begins as soon as a new target has room for it', async () => {
    intake.setTarget(target(2, { perJob: 2 }));
    await bring(1, 2);
    intake.claimed(intake.inbox());
    expect(asked()).toEqual([]);
    intake.setTarget(target(4));
    expect(asked()).toEqual([4]);
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

  test('of another queue does not wait for the one under way, which goes on and is counted', async () => {
    intake.setTarget(target(12));
    intake.setTarget(target(12, { queue: OTHER }));
    expect(queue.receives.map(({ args }) => [args.queue, args.max])).toEqual([
      [QUEUE, 10],
      [OTHER, 2],
    ]);
    await bring(1);
    expect(intake.inbox()).toHaveLength(1);
    expect(queue.receives.map(({ args }) => args.queue)).toEqual([OTHER]);
  });
});

/** Answers the oldest poll with as many new messages as it asked for. */
async function bringAll(): Promise<void> {
  const next = received.length;
  await bring(...Array.from({ length: queue.receives[0]?.args.max ?? 0 }, (_, index) => next + index));
}

describe('a backlog', () => {
  test('earns one more poll with every full answer, up to eight, none of which waits', async () => {
    intake.setTarget(target(1_000));
    const underWay: number[] = [];
    for (let answers = 0; answers < 12; answers += 1) {
      await bringAll();
      underWay.push(queue.receives.length);
    }
    expect(underWay).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 8, 8, 8, 8]);
    expect(new Set(queue.receives.map(({ args }) => args.waitSeconds))).toEqual(new Set([0]));
  });

  test('that is gone leaves one poll, which waits, and costs no further request', async () => {
    intake.setTarget(target(1_000));
    for (let answers = 0; answers < 12; answers += 1) await bringAll();
    for (let left = 7; left >= 0; left -= 1) {
      await bring();
      expect(queue.receives).toHaveLength(Math.max(1, left));
    }
    expect(queue.receives.map(({ args }) => args.waitSeconds)).toEqual([20]);
  });

  test('is not given up for one answer that is not full: SQS may miss messages that are there', async () => {
    intake.setTarget(target(1_000));
    for (let answers = 0; answers < 4; answers += 1) await bringAll();
    await bring();
    expect(queue.receives).toHaveLength(3);
    await bringAll();
    expect(queue.receives).toHaveLength(4);
  });

  test('is taken no faster than there is room', async () => {
    intake.setTarget(target(34));
    await bringAll();
    await bringAll();
    expect(asked()).toEqual([10, 4]);
    await bringAll();
    await bringAll();
    expect([asked(), intake.inbox().length]).toEqual([[], 34]);
  });

  test('of a FIFO queue is taken in receives of one batch each', async () => {
    intake.setTarget(target(100, { perReceive: 2 }));
    await bringAll();
    await bringAll();
    expect(asked()).toEqual([2, 2]);
  });

  test('of another queue is another backlog', async () => {
    intake.setTarget(target(1_000));
    for (let answers = 0; answers < 4; answers += 1) await bringAll();
    queue.receives.length = 0;
    intake.setTarget(target(1_000, { queue: OTHER }));
    expect(queue.receives.map(({ args }) => args.waitSeconds)).toEqual([20]);
  });
});

describe('more messages are expected', () => {
  test('while a poll that followed a full one is under way, and its end is told', async () => {
    intake.setTarget(target(100));
    expect(intake.moreExpected()).toBe(false);
    await bringAll();
    expect(intake.moreExpected()).toBe(true);
    const before = changes;
    await bring(100);
    expect([intake.moreExpected(), changes]).toEqual([false, before + 1]);
  });

  test('not when there is no room for them', async () => {
    intake.setTarget(target(10));
    await bringAll();
    expect(intake.moreExpected()).toBe(false);
  });

  test('not when that poll fails', async () => {
    intake.setTarget(target(100));
    await bringAll();
    const before = changes;
    await fail('QueueUnreachable', 'retry');
    expect([intake.moreExpected(), changes]).toEqual([false, before + 1]);
  });

  test('not of a queue that is no longer polled', async () => {
    intake.setTarget(target(100));
    await bringAll();
    intake.setTarget(undefined);
    expect(intake.moreExpected()).toBe(false);
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

  test.each([
    ['claimed', (message: Message) => intake.claimed([message])],
    ['removed', (message: Message) => intake.remove(message)],
  ])('keeps a newer receive than the one that is %s', async (_, finish) => {
    intake.setTarget(target(5));
    await bring(1);
    const [first] = intake.inbox();
    queue.receives.shift()?.answer([aMessage({ id: messageId(1), receiveCount: 2 })]);
    await clock.settle();
    if (first) finish(first);
    expect(intake.inbox()).toMatchObject([{ id: messageId(1), receiveCount: 2 }]);
  });
});

test('a message of a FIFO group knows which one of it came before it in the same answer', async () => {
  const fifo = { ...QUEUE, url: `${QUEUE.url}.fifo`, arn: `${QUEUE.arn}.fifo` };
  const ofGroup = (number: number, MessageGroupId: string) =>
    aMessage({ id: messageId(number), sentAtMs: number, queue: fifo, attributes: { MessageGroupId } });
  intake.setTarget(target(10, { queue: fifo }));
  queue.receives.shift()?.answer([ofGroup(1, 'a'), ofGroup(2, 'b'), ofGroup(3, 'a'), ofGroup(4, 'a')]);
  await clock.settle();
  const behind = intake.inbox().map((message) => message.behind);
  expect(behind).toEqual([undefined, undefined, messageId(1), messageId(3)]);
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
    expect([intake.problem(), changes]).toEqual([undefined, 0]);
    await clock.advance(30_000);
    await fail('QueueUnreachable', 'retry');
    expect(intake.problem()).toEqual({ reason: 'QueueUnreachable', message: 'sqs: QueueUnreachable' });
    await clock.advance(30_000);
    await fail('QueueUnreachable', 'retry');
    expect(changes).toBe(1);
    await clock.advance(30_000);
    await bring();
    expect([intake.problem(), changes]).toEqual([undefined, 2]);
  });

  test('that cannot work is told at once, and another reason too', async () => {
    intake.setTarget(target(1));
    await fail('QueueAccessDenied', 'terminal');
    expect(intake.problem()?.reason).toBe('QueueAccessDenied');
    await clock.advance(30_000);
    await fail('QueueNotFound', 'terminal');
    expect(intake.problem()?.reason).toBe('QueueNotFound');
    expect(changes).toBe(2);
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

  test('stops all polls of a backlog, and counts once although they fail together', async () => {
    intake.setTarget(target(1_000));
    for (let answers = 0; answers < 3; answers += 1) await bringAll();
    for (let polls = 0; polls < 3; polls += 1) await fail('QueueUnreachable', 'retry');
    expect([queue.receives.length, intake.problem()]).toEqual([0, undefined]);
    await clock.advance(1_000);
    expect(queue.receives.map(({ args }) => args.waitSeconds)).toEqual([20]);
  });

  test('of a queue that the target no longer names is nothing to tell', async () => {
    intake.setTarget(target(20));
    intake.setTarget(target(20, { queue: OTHER }));
    await fail('QueueNotFound', 'terminal');
    expect([intake.problem(), changes]).toEqual([undefined, 0]);
    expect(queue.receives.map(({ args }) => args.queue)).toEqual([OTHER]);
  });

  test('ends with the target', async () => {
    intake.setTarget(target(1));
    await fail('QueueUnreachable', 'retry');
    intake.setTarget(undefined);
    expect(clock.pending()).toBe(0);
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

test('drain waits for every poll of a backlog', async () => {
  intake.setTarget(target(1_000));
  for (let answers = 0; answers < 3; answers += 1) await bringAll();
  const state = { drained: false };
  void intake.drain().then(() => {
    state.drained = true;
  });
  await bring(100);
  await bring();
  expect(state.drained).toBe(false);
  await bring();
  expect([state.drained, queue.receives.length]).toEqual([true, 0]);
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
