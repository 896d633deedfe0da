import { beforeEach, describe, expect, test } from '@jest/globals';
import { Heartbeat } from '../../../operator/loops/heartbeat.ts';
import type { QueueRef } from '../../../operator/plan/message.ts';
import type { Lease } from '../../../operator/plan/plan.ts';
import { sqsFailure } from '../../simulation/sqs/failures.ts';
import { QUEUE } from '../../support/builders.ts';
import { MemoryLog } from '../../support/logs.ts';
import { done, StubQueue } from '../../support/stub-queue.ts';
import { VirtualClock } from '../../support/virtual-clock.ts';

const OTHER: QueueRef = { ...QUEUE, url: `${QUEUE.url}-2`, arn: `${QUEUE.arn}-2` };
const KEY = 'shop/orders';

let clock: VirtualClock;
let queue: StubQueue;
let heartbeat: Heartbeat;
let lost: string[];
let restored: string[];

beforeEach(() => {
  clock = new VirtualClock();
  queue = new StubQueue();
  lost = [];
  restored = [];
  heartbeat = new Heartbeat({
    queue,
    clock,
    log: new MemoryLog(),
    onLost: (key, messageId) => lost.push(`${key} ${messageId}`),
    onRestored: (key) => restored.push(key),
  });
});

function aLease(messageId: string, parts: Partial<Lease> = {}): Lease {
  return {
    queue: QUEUE,
    messageId,
    receiptHandle: `handle-${messageId}`,
    receivedAtMs: clock.now(),
    visibilityTimeoutSeconds: 30,
    ...parts,
  };
}

/** What was asked of SQS since the last call, and answers it. */
async function renewed(): Promise<string[]> {
  const requests = queue.renewals.splice(0);
  for (const { args, answer } of requests) answer(done(args.ids));
  await clock.settle();
  return requests.map(({ args }) => `${args.ids.join('+')} for ${args.seconds} s`);
}

describe('a lease', () => {
  test('is renewed every third of its timeout, for as long as it is kept', async () => {
    heartbeat.hold(KEY, aLease('a'));
    await clock.advance(9_999);
    expect(await renewed()).toEqual([]);
    for (let times = 0; times < 3; times += 1) {
      await clock.advance(times === 0 ? 1 : 10_000);
      expect(await renewed()).toEqual(['a for 30 s']);
    }
    heartbeat.publish(KEY, []);
    await clock.advance(60_000);
    expect(await renewed()).toEqual([]);
  });

  test('is trusted from the start of the request that took it, minus a second', async () => {
    heartbeat.hold(KEY, aLease('a'));
    expect(heartbeat.trustedUntil(QUEUE, 'a')).toBe(clock.now() + 29_000);
    await clock.advance(10_000);
    const startedAtMs = clock.now();
    await clock.advance(3_000);
    await renewed();
    expect(heartbeat.trustedUntil(QUEUE, 'a')).toBe(startedAtMs + 29_000);
  });

  test('is renewed a third of its timeout after the request began, however long SQS took', async () => {
    heartbeat.hold(KEY, aLease('a'));
    await clock.advance(10_000);
    await clock.advance(4_000);
    expect(await renewed()).toHaveLength(1);
    await clock.advance(5_999);
    expect(await renewed()).toEqual([]);
    await clock.advance(1);
    expect(await renewed()).toHaveLength(1);
  });

  test('that nobody keeps is not trusted', () => {
    expect(heartbeat.trustedUntil(QUEUE, 'a')).toBe(0);
    heartbeat.hold(KEY, aLease('a'));
    expect(heartbeat.trustedUntil(OTHER, 'a')).toBe(0);
  });

  test('is asked for no more than what is left of twelve hours, then left alone, and its message let go', async () => {
    const receivedAtMs = clock.now() - 43_200_000 + 25_000;
    heartbeat.publish(KEY, [aLease('a', { receivedAtMs })]);
    await clock.advance(0);
    expect(await renewed()).toEqual(['a for 15 s']);
    await clock.advance(60_000);
    const asked = await renewed();
    expect(asked.length).toBeLessThanOrEqual(2);
    await clock.advance(600_000);
    expect(await renewed()).toEqual([]);
    expect(heartbeat.trustedUntil(QUEUE, 'a')).toBe(0);
  });

  test('with a newer receipt handle takes the place of the older one, and not the other way round', async () => {
    const first = aLease('a');
    heartbeat.hold(KEY, first);
    await clock.advance(1_000);
    heartbeat.hold(KEY, aLease('a', { receiptHandle: 'newer' }));
    heartbeat.publish(KEY, [first]);
    await clock.advance(10_000);
    expect(queue.renewals.map(({ args }) => args.handles)).toEqual([['newer']]);
  });

  test('that is published again as it was keeps its rhythm', async () => {
    const lease = aLease('a');
    heartbeat.hold(KEY, lease);
    await clock.advance(9_000);
    heartbeat.publish(KEY, [lease]);
    await clock.advance(999);
    expect(await renewed()).toEqual([]);
    await clock.advance(1);
    expect(await renewed()).toEqual(['a for 30 s']);
  });
});

describe('renewals', () => {
  test('of one queue that ask for the same time go in one request', async () => {
    heartbeat.publish(KEY, [
      aLease('a'),
      aLease('b'),
      aLease('c', { visibilityTimeoutSeconds: 27 }),
      aLease('d', { queue: OTHER }),
    ]);
    await clock.advance(10_000);
    expect((await renewed()).toSorted((x, y) => x.localeCompare(y))).toEqual([
      'a+b for 30 s',
      'c for 27 s',
      'd for 30 s',
    ]);
  });

  test('are all due at once after a restart, when nothing is known of the last ones', async () => {
    const receivedAtMs = clock.now() - 3_600_000;
    heartbeat.publish(KEY, [
      aLease('a', { receivedAtMs }),
      aLease('b', { receivedAtMs: receivedAtMs + 5_000 }),
    ]);
    await clock.advance(0);
    expect(await renewed()).toEqual(['a+b for 30 s']);
    expect(restored).toEqual([]);
    expect(lost).toEqual([]);
    // They may have run out in the meantime, and SQS would not say so.
    expect(heartbeat.trustedUntil(QUEUE, 'a')).toBe(0);
  });

  test('that fail are tried again a second later, while the others go on', async () => {
    heartbeat.publish(KEY, [aLease('a'), aLease('b', { queue: OTHER })]);
    await clock.advance(10_000);
    const [first, second] = queue.renewals.splice(0);
    first?.fail(sqsFailure('QueueUnreachable', 'retry'));
    second?.answer(done(['b']));
    await clock.advance(999);
    expect(await renewed()).toEqual([]);
    await clock.advance(1);
    expect(await renewed()).toEqual(['a for 30 s']);
    expect(lost).toEqual([]);
  });

  test('that fail for one entry are tried again for that one', async () => {
    heartbeat.publish(KEY, [aLease('a'), aLease('b')]);
    await clock.advance(10_000);
    queue.renewals.splice(0)[0]?.answer([
      { id: 'a', error: undefined },
      { id: 'b', error: sqsFailure('Throttled', 'retry') },
    ]);
    await clock.advance(1_000);
    expect(await renewed()).toEqual(['b for 30 s']);
  });

  test('of a queue that never answers do not keep another queue waiting', async () => {
    heartbeat.publish(KEY, [aLease('a'), aLease('b', { queue: OTHER })]);
    await clock.advance(10_000);
    const [, other] = queue.renewals.splice(0);
    other?.answer(done(['b']));
    await clock.advance(10_000);
    expect(await renewed()).toEqual(['b for 30 s']);
    await clock.advance(10_000);
    expect(await renewed()).toEqual(['b for 30 s']);
  });

  test('go ten in a request, and one that SQS does not answer keeps no other waiting', async () => {
    heartbeat.publish(
      KEY,
      Array.from({ length: 25 }, (_, number) => aLease(`m${number}`)),
    );
    await clock.advance(10_000);
    const sizes = () => queue.renewals.map(({ args }) => args.ids.length);
    expect(sizes()).toEqual([10, 10, 5]);
    const [hanging] = queue.renewals.splice(0, 1);
    expect(await renewed()).toHaveLength(2);
    await clock.advance(10_000);
    expect(sizes()).toEqual([10, 5]);
    expect(queue.renewals.flatMap(({ args }) => args.ids)).not.toContain(hanging?.args.ids[0]);
  });

  test('are never two at a time for one message', async () => {
    heartbeat.hold(KEY, aLease('a'));
    await clock.advance(60_000);
    await heartbeat.beat();
    expect(queue.renewals).toHaveLength(1);
  });

  test('tell when a lease that was about to end is good again', async () => {
    heartbeat.hold(KEY, aLease('a', { visibilityTimeoutSeconds: 10, receivedAtMs: clock.now() - 8_000 }));
    await clock.advance(0);
    await renewed();
    expect(restored).toEqual([KEY]);
    await clock.advance(3_334);
    await renewed();
    expect(restored).toEqual([KEY]);
  });
});

describe('a lost lease', () => {
  test('is told once, not trusted, and not renewed any more', async () => {
    const lease = aLease('a');
    heartbeat.publish(KEY, [lease, aLease('b')]);
    await clock.advance(10_000);
    queue.renewals.splice(0)[0]?.answer([
      { id: 'a', error: sqsFailure('LeaseLost', 'lost') },
      { id: 'b', error: undefined },
    ]);
    await clock.settle();
    expect(lost).toEqual([`${KEY} a`]);
    expect(heartbeat.trustedUntil(QUEUE, 'a')).toBe(0);
    heartbeat.publish(KEY, [lease, aLease('b')]);
    await clock.advance(10_000);
    expect(await renewed()).toEqual(['b for 30 s']);
  });

  test('is kept again with the next receipt handle', async () => {
    heartbeat.hold(KEY, aLease('a'));
    await clock.advance(10_000);
    queue.renewals.splice(0)[0]?.answer([{ id: 'a', error: sqsFailure('LeaseLost', 'lost') }]);
    await clock.settle();
    heartbeat.hold(KEY, aLease('a', { receiptHandle: 'next' }));
    await clock.advance(10_000);
    expect(await renewed()).toEqual(['a for 30 s']);
  });

  test('of a message that was withdrawn in the meantime is not told', async () => {
    heartbeat.hold(KEY, aLease('a'));
    await clock.advance(10_000);
    const withdrawn = heartbeat.withdraw(QUEUE, ['a']);
    queue.renewals.splice(0)[0]?.answer([{ id: 'a', error: sqsFailure('LeaseLost', 'lost') }]);
    await withdrawn;
    expect(lost).toEqual([]);
  });
});

describe('a lease that runs out', () => {
  /** Every renewal in this time fails, or is not answered. */
  async function failFor(ms: number): Promise<void> {
    for (let passedMs = 0; passedMs < ms; passedMs += 500) {
      await clock.advance(500);
      for (const { fail } of queue.renewals.splice(0)) fail(sqsFailure('QueueUnreachable', 'retry'));
    }
    await clock.settle();
  }

  test('while its renewals fail is told once, renewed further, and never trusted again', async () => {
    heartbeat.hold(KEY, aLease('a'));
    await failFor(28_500);
    expect(lost).toEqual([]);
    await failFor(5_000);
    expect(lost).toEqual([`${KEY} a`]);
    expect(heartbeat.trustedUntil(QUEUE, 'a')).toBe(0);
    await clock.advance(1_000);
    expect(await renewed()).toEqual(['a for 30 s']);
    await clock.advance(10_000);
    expect(await renewed()).toEqual(['a for 30 s']);
    expect(heartbeat.trustedUntil(QUEUE, 'a')).toBe(0);
    expect(lost).toHaveLength(1);
    expect(restored).toEqual([]);
  });

  test('while a renewal hangs is told when that ends, whatever SQS says then', async () => {
    heartbeat.hold(KEY, aLease('a'));
    await clock.advance(10_000);
    await clock.advance(25_000);
    expect(await renewed()).toHaveLength(1);
    // Trusted from when that request began, which is long ago.
    expect(heartbeat.trustedUntil(QUEUE, 'a')).toBe(clock.now() - 25_000 + 29_000);
    await clock.advance(0);
    queue.renewals.splice(0)[0]?.fail(sqsFailure('QueueUnreachable', 'retry'));
    await clock.advance(0);
    await failFor(5_000);
    expect(lost).toEqual([`${KEY} a`]);
  });

  test('and is then refused as well is told once', async () => {
    heartbeat.hold(KEY, aLease('a'));
    await failFor(30_000);
    await clock.advance(1_000);
    queue.renewals.splice(0)[0]?.answer([{ id: 'a', error: sqsFailure('LeaseLost', 'lost') }]);
    await clock.advance(60_000);
    expect(lost).toEqual([`${KEY} a`]);
    expect(queue.renewals).toEqual([]);
  });

  test('is kept like any other once its message has come again', async () => {
    heartbeat.hold(KEY, aLease('a'));
    await failFor(31_000);
    heartbeat.hold(KEY, aLease('a', { receiptHandle: 'next' }));
    expect(heartbeat.trustedUntil(QUEUE, 'a')).toBe(clock.now() + 29_000);
    await clock.advance(10_000);
    expect(queue.renewals.map(({ args }) => args.handles)).toEqual([['next']]);
  });

  test('because twelve hours are over is told once', async () => {
    heartbeat.publish(KEY, [aLease('a', { receivedAtMs: clock.now() - 43_200_000 + 20_000 })]);
    for (let seconds = 0; seconds < 60; seconds += 1) {
      await clock.advance(1_000);
      await renewed();
    }
    expect(lost).toEqual([`${KEY} a`]);
  });
});

describe('withdraw', () => {
  test('waits for a renewal under way, so that none can overtake a release', async () => {
    heartbeat.hold(KEY, aLease('a'));
    await clock.advance(10_000);
    const state = { done: false };
    void heartbeat.withdraw(QUEUE, ['a', 'unknown']).then(() => {
      state.done = true;
    });
    await clock.settle();
    expect(state.done).toBe(false);
    await renewed();
    expect(state.done).toBe(true);
    await clock.advance(60_000);
    expect(await renewed()).toEqual([]);
  });

  test('waits for a renewal that fails as well', async () => {
    heartbeat.hold(KEY, aLease('a'));
    await clock.advance(10_000);
    const withdrawn = heartbeat.withdraw(QUEUE, ['a']);
    queue.renewals.splice(0)[0]?.fail(new Error('connection reset'));
    await expect(withdrawn).resolves.toBeUndefined();
  });
});

describe('publish', () => {
  test('lets go of what it does not name, of its own BatchQueue only', async () => {
    heartbeat.publish('shop/a', [aLease('a')]);
    heartbeat.publish('shop/b', [aLease('b')]);
    heartbeat.publish('shop/a', []);
    await clock.advance(10_000);
    expect(await renewed()).toEqual(['b for 30 s']);
  });
});

test('after stop no timer is left and none is set', async () => {
  heartbeat.hold(KEY, aLease('a'));
  heartbeat.stop();
  heartbeat.hold(KEY, aLease('b'));
  expect(clock.pending()).toBe(0);
  await clock.advance(60_000);
  expect(queue.renewals).toEqual([]);
});

describe('leases of two tenants', () => {
  const INTRUDER = { ...QUEUE, namespace: 'intruder' };

  test('are apart, even if one names the queue and the message of the other', async () => {
    heartbeat.hold(KEY, aLease('a'));
    await clock.advance(1);
    heartbeat.publish('intruder/orders', [aLease('a', { queue: INTRUDER, receiptHandle: 'forged' })]);
    const trusted = heartbeat.trustedUntil(QUEUE, 'a');
    await heartbeat.withdraw(INTRUDER, ['a']);
    expect(heartbeat.trustedUntil(QUEUE, 'a')).toBe(trusted);
    await clock.advance(10_000);
    expect(queue.renewals.map(({ args }) => args.queue)).toEqual([QUEUE]);
    await renewed();
    heartbeat.stop();
  });

  test('go on in the name of another ServiceAccount as soon as it is published', async () => {
    const other = { ...QUEUE, serviceAccountName: 'other' };
    heartbeat.hold(KEY, aLease('a'));
    heartbeat.hold(KEY, aLease('b', { queue: other }));
    await clock.advance(10_000);
    expect(queue.renewals.map(({ args }) => args.queue.serviceAccountName)).toEqual(['default', 'other']);
    await renewed();
    heartbeat.publish(
      KEY,
      ['a', 'b'].map((id) => aLease(id, { queue: other, receivedAtMs: clock.now() - 10_000 })),
    );
    await clock.advance(10_000);
    expect(queue.renewals.map(({ args }) => [args.queue.serviceAccountName, args.ids])).toEqual([
      ['other', ['a', 'b']],
    ]);
    await renewed();
    heartbeat.stop();
  });
});
