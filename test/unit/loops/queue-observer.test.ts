import { beforeEach, describe, expect, test } from '@jest/globals';
import { QueueObserver } from '../../../operator/loops/queue-observer.ts';
import { sqsFailure } from '../../simulation/sqs/failures.ts';
import { attributesOf, DEAD_LETTER_URL, QUEUE, seenDeadLetters } from '../../support/builders.ts';
import { MemoryLog } from '../../support/logs.ts';
import { StubQueue } from '../../support/stub-queue.ts';
import { VirtualClock } from '../../support/virtual-clock.ts';

const MINUTE_MS = 60_000;

let clock: VirtualClock;
let queue: StubQueue;
let observer: QueueObserver;
let changes: number;

beforeEach(() => {
  clock = new VirtualClock();
  queue = new StubQueue();
  changes = 0;
  observer = new QueueObserver({
    queue,
    clock,
    random: () => 1,
    log: new MemoryLog(),
    onChange: () => {
      changes += 1;
    },
  });
});

async function watch(url = QUEUE.url): Promise<void> {
  observer.watch({ ...QUEUE, url });
  await clock.settle();
}

/** What was read in this time. */
async function readIn(ms: number): Promise<string[]> {
  queue.described.length = 0;
  await clock.advance(ms);
  return [...queue.described];
}

function reason(): string {
  const observation = observer.observation();
  return observation.kind === 'unreachable' ? observation.reason : observation.kind;
}

describe('an observed queue', () => {
  test('is read at once, with its dead-letter queue', async () => {
    expect(observer.observation()).toEqual({ kind: 'unknown' });
    queue.describeAnswer = () => Promise.resolve(attributesOf({ visible: 7 }));
    queue.deadLetterAnswer = () => Promise.resolve(2);
    await watch();
    expect(observer.observation()).toEqual({
      kind: 'reachable',
      attributes: attributesOf({ visible: 7 }),
      deadLetter: seenDeadLetters(2, { retentionSeconds: 345_600 }),
      observedAtMs: clock.now(),
    });
    expect(changes).toBe(1);
  });

  test('at rest is read once a minute, and so is its dead-letter queue', async () => {
    await watch();
    const read = await readIn(6 * MINUTE_MS);
    expect(read.filter((what) => what === QUEUE.url)).toHaveLength(6);
    expect(read.filter((what) => what === DEAD_LETTER_URL)).toHaveLength(6);
  });

  test('whose dead-letter queue was made or put right is told so within a minute', async () => {
    queue.deadLetterAnswer = () => Promise.reject(sqsFailure('QueueNotFound', 'terminal'));
    await watch();
    await clock.advance(10 * MINUTE_MS);
    queue.deadLetterAnswer = () => Promise.resolve(0);
    await clock.advance(MINUTE_MS);
    expect(observer.observation()).toMatchObject({ deadLetter: { kind: 'seen' } });
  });

  test('that may not be read any more is told within a minute', async () => {
    await watch();
    for (let minutes = 0; minutes < 4; minutes += 1) {
      queue.describeAnswer = () => Promise.reject(sqsFailure('QueueAccessDenied', 'terminal'));
      await clock.advance(MINUTE_MS);
      expect(reason()).toBe('QueueAccessDenied');
      queue.describeAnswer = () => Promise.resolve(attributesOf());
      await clock.advance(MINUTE_MS);
      expect(reason()).toBe('reachable');
      await clock.advance(MINUTE_MS);
    }
  });

  test('without a dead-letter queue is read once a minute', async () => {
    queue.describeAnswer = () => Promise.resolve(attributesOf({ deadLetterArn: undefined }));
    await watch();
    expect(await readIn(4 * MINUTE_MS)).toEqual([QUEUE.url, QUEUE.url, QUEUE.url, QUEUE.url]);
    expect(observer.observation()).toMatchObject({ deadLetter: undefined });
  });

  test('while messages move is read every five seconds, for two minutes', async () => {
    await watch();
    observer.stir();
    const busy = await readIn(2 * MINUTE_MS);
    expect(busy.filter((what) => what === QUEUE.url).length).toBeGreaterThanOrEqual(22);
    await readIn(MINUTE_MS);
    const atRest = await readIn(4 * MINUTE_MS);
    expect(atRest.filter((what) => what === QUEUE.url).length).toBeLessThanOrEqual(4);
  });

  test('while it is not polled is read every quarter of a minute', async () => {
    await watch();
    observer.setPace('waiting');
    observer.setPace('waiting');
    const read = await readIn(2 * MINUTE_MS);
    expect(read.filter((what) => what === QUEUE.url)).toHaveLength(8);
  });

  test('is told when something about it has changed, and once a minute anyway', async () => {
    await watch();
    observer.stir();
    await clock.advance(50_000);
    expect(changes).toBe(1);
    queue.describeAnswer = () => Promise.resolve(attributesOf({ visible: 7 }));
    await clock.advance(5_000);
    expect(changes).toBe(2);
    await clock.advance(MINUTE_MS);
    expect(changes).toBe(3);
  });

  test('keeps its cadence however often the same pace is set', async () => {
    await watch();
    for (let times = 0; times < 59; times += 1) {
      observer.setPace('polling');
      await clock.advance(1_000);
    }
    expect(await readIn(1_000)).toEqual([QUEUE.url, DEAD_LETTER_URL]);
  });

  test('is not read any more once nobody watches, and no timer is left', async () => {
    await watch();
    observer.watch(undefined);
    expect(clock.pending()).toBe(0);
    expect(await readIn(10 * MINUTE_MS)).toEqual([]);
  });

  test('that is replaced by another is forgotten, even if it answers late', async () => {
    const late = Promise.withResolvers<ReturnType<typeof attributesOf>>();
    queue.describeAnswer = () => late.promise;
    await watch();
    queue.describeAnswer = () => Promise.resolve(attributesOf({ visible: 1 }));
    await watch(`${QUEUE.url}-2`);
    late.resolve(attributesOf({ visible: 99 }));
    await clock.settle();
    expect(observer.observation()).toMatchObject({ attributes: { visible: 1 } });
  });

  test('that is watched again is not read again', async () => {
    await watch();
    await watch();
    expect(queue.described.filter((what) => what === QUEUE.url)).toHaveLength(1);
  });
});

describe('a queue that does not answer', () => {
  test('from the start is unreachable at once', async () => {
    queue.describeAnswer = () => Promise.reject(sqsFailure('QueueUnreachable', 'retry'));
    await watch();
    expect(reason()).toBe('QueueUnreachable');
  });

  test('once is a hiccup, three times in a row is not', async () => {
    await watch();
    queue.describeAnswer = () => Promise.reject(sqsFailure('QueueUnreachable', 'retry'));
    queue.deadLetterAnswer = () => Promise.resolve(0);
    observer.stir();
    await clock.advance(5_000);
    expect(reason()).toBe('reachable');
    await clock.advance(2_000);
    expect(reason()).toBe('reachable');
    await clock.advance(4_000);
    expect(reason()).toBe('QueueUnreachable');
  });

  test.each(['QueueNotFound', 'QueueAccessDenied', 'HostNotAllowed'])(
    'because of %s is unreachable at once',
    async (code) => {
      await watch();
      queue.describeAnswer = () => Promise.reject(sqsFailure(code, 'terminal'));
      observer.stir();
      await clock.advance(5_000);
      expect(reason()).toBe(code);
    },
  );

  test('is looked at again within a minute, also after an hour', async () => {
    queue.describeAnswer = () => Promise.reject(sqsFailure('QueueNotFound', 'terminal'));
    await watch();
    expect((await readIn(60 * MINUTE_MS)).length).toBeLessThan(100);
    queue.describeAnswer = () => Promise.resolve(attributesOf());
    await clock.advance(MINUTE_MS);
    expect(reason()).toBe('reachable');
  });

  test('is looked at less and less often', async () => {
    queue.describeAnswer = () => Promise.reject(sqsFailure('QueueNotFound', 'terminal'));
    await watch();
    expect((await readIn(2_000)).length).toBe(1);
    await readIn(5 * MINUTE_MS);
    expect((await readIn(3 * MINUTE_MS)).length).toBe(4);
  });
});

test('a dead-letter queue that may not be read is no fault of the queue', async () => {
  queue.deadLetterAnswer = () => Promise.reject(sqsFailure('QueueAccessDenied', 'terminal'));
  await watch();
  expect(observer.observation()).toMatchObject({ kind: 'reachable', deadLetter: { kind: 'unseen' } });
});

test('a dead-letter queue that is gone is told of', async () => {
  queue.deadLetterAnswer = () => Promise.reject(sqsFailure('QueueNotFound', 'terminal'));
  await watch();
  expect(observer.observation()).toMatchObject({ kind: 'reachable', deadLetter: { kind: 'missing' } });
});
