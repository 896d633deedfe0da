import { beforeEach, expect, test } from '@jest/globals';
import type { OperatorError } from '../../../operator/errors.ts';
import { QueueRights } from '../../../operator/loops/queue-rights.ts';
import type { TriedRight } from '../../../operator/world.ts';
import { QUEUE } from '../../support/builders.ts';
import { MemoryLog } from '../../support/logs.ts';
import { StubQueue } from '../../support/stub-queue.ts';
import { failing } from '../../support/tenant-world.ts';
import { VirtualClock } from '../../support/virtual-clock.ts';

const MINUTE_MS = 60_000;
const DENIED = failing('QueueAccessDenied', 'terminal', 'DeleteMessage: AccessDenied. Allow it.');
const BOTH = ['ChangeMessageVisibility', 'DeleteMessage'];

let clock: VirtualClock;
let queue: StubQueue;
let rights: QueueRights;
let changes: number;

beforeEach(() => {
  clock = new VirtualClock();
  queue = new StubQueue();
  changes = 0;
  const onChange = () => {
    changes += 1;
  };
  rights = new QueueRights({ queue, clock, random: () => 1, log: new MemoryLog(), onChange });
});

async function watch(): Promise<void> {
  rights.watch(QUEUE);
  await clock.settle();
}

/** From now on SQS answers a try of this right so. */
function answer(right: TriedRight, error?: OperatorError): void {
  queue.rightAnswer = async (asked) => {
    if (asked === right && error) throw error;
  };
}

/** What was tried in this time. */
async function triedIn(ms: number): Promise<readonly string[]> {
  queue.tried.length = 0;
  await clock.advance(ms);
  return [...queue.tried];
}

function missing(): string | undefined {
  return rights.known().missing?.message;
}

test('every right is tried at once, and nothing is known before', async () => {
  expect(rights.known().isTried).toBe(false);
  await watch();
  expect(queue.tried).toEqual(BOTH);
  expect(rights.known()).toEqual({ isTried: true, missing: undefined, copying: undefined });
  expect(changes).toBe(1);
});

test('they are tried once within every minute, and hardly more often, also after hours at rest', async () => {
  await watch();
  await clock.advance(5 * 60 * MINUTE_MS);
  let tries = 0;
  for (let minutes = 0; minutes < 60; minutes += 1) {
    const tried = await triedIn(MINUTE_MS);
    expect(new Set(tried)).toEqual(new Set(BOTH));
    tries += tried.length;
  }
  // By two rights: at most five requests in two minutes.
  expect(tries).toBeLessThanOrEqual(150);
});

test('one that is missing is told within a minute, and that it is there again', async () => {
  await watch();
  await clock.advance(60 * MINUTE_MS);
  answer('DeleteMessage', DENIED);
  await clock.advance(50_000);
  expect(missing()).toBe(DENIED.message);
  answer('DeleteMessage');
  await clock.advance(50_000);
  expect(missing()).toBeUndefined();
  expect(changes).toBe(3);
});

test('a request that is refused is told at once', async () => {
  await watch();
  rights.note(QUEUE, 'DeleteMessage', DENIED);
  expect(missing()).toBe(DENIED.message);
  expect(changes).toBe(2);
  rights.note(QUEUE, 'DeleteMessage', undefined);
  expect(missing()).toBeUndefined();
});

test('a try does not overrule requests that are refused all the same, and has them sent again', async () => {
  await watch();
  rights.note(QUEUE, 'DeleteMessage', DENIED);
  const before = changes;
  for (let minutes = 0; minutes < 5; minutes += 1) {
    await clock.advance(MINUTE_MS);
    expect(missing()).toBeDefined();
    rights.note(QUEUE, 'DeleteMessage', DENIED);
  }
  expect(changes).toBeGreaterThan(before);
  // Nothing is owed any more.
  await clock.advance(3 * MINUTE_MS);
  expect(missing()).toBeUndefined();
});

test('what is answered for another queue, or does not speak of rights, changes nothing', async () => {
  await watch();
  rights.note({ ...QUEUE, url: `${QUEUE.url}-2` }, 'DeleteMessage', DENIED);
  rights.note(QUEUE, 'DeleteMessage', failing('Throttled'));
  rights.note(QUEUE, 'DeleteMessage', failing('QueueNotFound', 'terminal'));
  expect(missing()).toBeUndefined();
  rights.note(QUEUE, 'DeleteMessage', DENIED);
  rights.note(QUEUE, 'DeleteMessage', failing('Throttled'));
  rights.note(QUEUE, 'DeleteMessage', failing('NotLeader'));
  expect(missing()).toBe(DENIED.message);
  // The handle is judged by those who may judge it.
  rights.note(QUEUE, 'DeleteMessage', failing('RequestRefused', 'terminal'));
  expect(missing()).toBeUndefined();
});

test('what cannot be tried is taken for granted after a while, and tried again', async () => {
  answer('DeleteMessage', failing('QueueUnreachable'));
  await watch();
  expect(rights.known().isTried).toBe(false);
  await clock.advance(10_000);
  expect(rights.known()).toMatchObject({ isTried: true, missing: undefined });
  answer('DeleteMessage', DENIED);
  await clock.advance(MINUTE_MS);
  expect(missing()).toBe(DENIED.message);
});

test('another reader starts anew, and an answer to the one before is dropped', async () => {
  await watch();
  rights.note(QUEUE, 'DeleteMessage', DENIED);
  answer('DeleteMessage', DENIED);
  rights.watch({ ...QUEUE, serviceAccountName: 'old' });
  answer('DeleteMessage');
  rights.watch({ ...QUEUE, serviceAccountName: 'new' });
  expect(rights.known().isTried).toBe(false);
  await clock.settle();
  expect(rights.known()).toMatchObject({ isTried: true, missing: undefined });
  rights.watch(undefined);
  expect(await triedIn(10 * MINUTE_MS)).toEqual([]);
});

test('a copy that is refused is told apart: messages run all the same', async () => {
  await watch();
  rights.note(QUEUE, 'SendMessage', failing('DeadLetterAccessDenied', 'terminal', 'Allow it.'));
  expect(rights.known()).toMatchObject({ missing: undefined, copying: { message: 'Allow it.' } });
  rights.note(QUEUE, 'SendMessage', undefined);
  expect(rights.known().copying).toBeUndefined();
});
