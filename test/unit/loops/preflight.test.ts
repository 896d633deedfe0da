import { beforeEach, describe, expect, test } from '@jest/globals';
import type { BatchQueue } from '../../../operator/api/batch-queue.ts';
import { OperatorError } from '../../../operator/errors.ts';
import { type CheckAnswer, QueuePreflight } from '../../../operator/loops/preflight.ts';
import { CHECKING, faulty, passed, warned } from '../../../operator/plan/preflight.ts';
import { templateOf } from '../../../operator/plan/revision.ts';
import { aQueue } from '../../support/builders.ts';
import { MemoryLog } from '../../support/logs.ts';
import { VirtualClock } from '../../support/virtual-clock.ts';

const MINUTE_MS = 60_000;
const GOOD = passed('Bound', 'all is well');
const BAD = faulty('VolumeClaimNotFound', 'no such claim');

let clock: VirtualClock;
let answer: () => Promise<CheckAnswer>;
let asked: (string | undefined)[];
let changes: number;
let preflight: QueuePreflight;

beforeEach(() => {
  clock = new VirtualClock();
  answer = () => Promise.resolve(GOOD);
  asked = [];
  changes = 0;
  preflight = new QueuePreflight({
    checks: [
      {
        name: 'storage',
        dependsOn: ({ template }) => template.storage,
        run: ({ template }) => {
          asked.push(template.storage?.claimName);
          return answer();
        },
      },
    ],
    clock,
    random: () => 1,
    log: new MemoryLog(),
    onChange: () => {
      changes += 1;
    },
  });
});

function queueWith(claimName: string, spec: Partial<BatchQueue['spec']> = {}): BatchQueue {
  return aQueue({ spec: { storage: { claimName, mountPath: '/efs' }, ...spec } });
}

async function watch(queue: BatchQueue | undefined): Promise<void> {
  preflight.watch(queue && { queue, template: templateOf(queue) });
  await clock.settle();
}

/** How often it was asked in this time. */
async function askedIn(ms: number): Promise<number> {
  asked.length = 0;
  await clock.advance(ms);
  return asked.length;
}

function failure(code: string, verdict: 'retry' | 'terminal'): () => Promise<never> {
  return () => Promise.reject(new OperatorError({ code, verdict, message: 'no words' }));
}

describe('a check', () => {
  test('holds intake until its first answer', async () => {
    expect(preflight.answers()).toEqual({ storage: CHECKING });
    await watch(queueWith('a'));
    expect(preflight.answers()).toEqual({ storage: GOOD });
    expect(changes).toBe(1);
  });

  test('is done again when what it depends on is edited, and for nothing else', async () => {
    await watch(queueWith('a'));
    await watch(queueWith('a', { maxConcurrentJobs: 3 }));
    expect(asked).toEqual(['a']);
    answer = () => new Promise(() => {});
    await watch(queueWith('b'));
    expect(asked).toEqual(['a', 'b']);
    expect(preflight.answers()).toEqual({ storage: CHECKING });
  });

  test('is done with the newest of everything else', async () => {
    await watch(queueWith('a'));
    const edited = queueWith('a', { maxConcurrentJobs: 3 });
    await watch(edited);
    expect(await askedIn(5 * MINUTE_MS)).toBe(1);
  });

  test('that passed is done a few times an hour; nobody is told of the same answer', async () => {
    await watch(queueWith('a'));
    expect(await askedIn(60 * MINUTE_MS)).toBe(12);
    expect(changes).toBe(1);
  });

  test.each([
    ['failed', BAD],
    ['warns', warned('NfsVolume', 'not so good')],
  ])('that %s is done again within a minute', async (_, first) => {
    answer = () => Promise.resolve(first);
    await watch(queueWith('a'));
    expect(preflight.answers()).toEqual({ storage: first });
    answer = () => Promise.resolve(GOOD);
    expect(await askedIn(MINUTE_MS)).toBe(1);
    expect(preflight.answers()).toEqual({ storage: GOOD });
    expect(changes).toBe(2);
  });

  test('comes again when its answer says, and not more often than every second', async () => {
    answer = () => Promise.resolve({ ...GOOD, recheckAfterMs: 10_000 });
    await watch(queueWith('a'));
    expect(preflight.answers()).toEqual({ storage: GOOD });
    expect(await askedIn(MINUTE_MS)).toBe(6);
    answer = () => Promise.resolve({ ...GOOD, recheckAfterMs: 0 });
    await clock.advance(10_000);
    expect(await askedIn(10_000)).toBe(10);
  });

  test('comes again when it is asked for', async () => {
    await watch(queueWith('a'));
    answer = () => Promise.resolve(BAD);
    preflight.recheck('image');
    preflight.recheck('storage');
    await clock.settle();
    expect(asked).toEqual(['a', 'a']);
    expect(preflight.answers()).toEqual({ storage: BAD });
  });

  test('that could not be done holds nothing', async () => {
    answer = failure('Unavailable', 'retry');
    await watch(queueWith('a'));
    expect(preflight.answers()).toEqual({
      storage: {
        status: 'Unknown',
        reason: 'CheckFailed',
        message: 'This could not be checked, and messages run all the same: no words.',
        holdsIntake: false,
      },
    });
    expect(await askedIn(MINUTE_MS)).toBe(1);
  });

  test('that is forbidden says so at once, whatever was known', async () => {
    await watch(queueWith('a'));
    answer = failure('Forbidden', 'terminal');
    expect(await askedIn(5 * MINUTE_MS)).toBe(1);
    expect(preflight.answers().storage).toMatchObject({ reason: 'CheckForbidden', holdsIntake: false });
  });

  test('keeps what is known through hiccups, not longer', async () => {
    answer = () => Promise.resolve(BAD);
    await watch(queueWith('a'));
    answer = failure('Unavailable', 'retry');
    expect(await askedIn(100_000)).toBe(2);
    expect(preflight.answers()).toEqual({ storage: BAD });
    expect(await askedIn(MINUTE_MS)).toBe(1);
    expect(preflight.answers().storage).toMatchObject({ reason: 'CheckFailed' });
  });

  test('that never answers has failed after half a minute, and its late answer is not heard', async () => {
    let late: (value: CheckAnswer) => void = () => {};
    answer = () =>
      new Promise((resolve) => {
        late = resolve;
      });
    await watch(queueWith('a'));
    await clock.advance(30_000);
    expect(preflight.answers().storage).toMatchObject({ reason: 'CheckFailed', holdsIntake: false });
    late(BAD);
    await clock.settle();
    expect(preflight.answers().storage).toMatchObject({ reason: 'CheckFailed' });
  });

  test('about an earlier spec is not heard', async () => {
    let late: (value: CheckAnswer) => void = () => {};
    answer = () =>
      new Promise((resolve) => {
        late = resolve;
      });
    await watch(queueWith('a'));
    answer = () => Promise.resolve(GOOD);
    await watch(queueWith('b'));
    late(BAD);
    await clock.settle();
    expect(preflight.answers()).toEqual({ storage: GOOD });
  });

  test('ends with the BatchQueue, and begins anew', async () => {
    await watch(queueWith('a'));
    await watch(undefined);
    expect(await askedIn(60 * MINUTE_MS)).toBe(0);
    expect(preflight.answers()).toEqual({ storage: CHECKING });
    await watch(queueWith('a'));
    expect(preflight.answers()).toEqual({ storage: GOOD });
  });
});
