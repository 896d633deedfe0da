import { describe, expect, test } from '@jest/globals';
import { claimFrom } from '../../../operator/plan/claim.ts';
import { afterCreate, type CreationRefusal, NO_REFUSALS } from '../../../operator/plan/creation-refusal.ts';
import {
  type HoldContext,
  type HoldMemory,
  holdProblem,
  nextHold,
  roomUnderHold,
} from '../../../operator/plan/intake-hold.ts';
import { isoSeconds } from '../../../operator/plan/iso-time.ts';
import type { Claim } from '../../../operator/plan/job-facts.ts';
import type { JobStart } from '../../../operator/plan/job-start.ts';
import { aJob, type ClaimParts, messageId, NOW_MS } from '../../support/builders.ts';

const MINUTE_MS = 60_000;

/** A Job created so many seconds ago. */
function jobOf(name: string, ageSeconds: number, parts: ClaimParts = {}): Claim {
  const job = aJob({ name, ...parts });
  const creationTimestamp = isoSeconds(NOW_MS - ageSeconds * 1_000);
  return claimFrom({ ...job, metadata: { ...job.metadata, creationTimestamp } });
}

function stuck(
  reason = 'ImagePullFailing',
  message = 'not found',
  fault: 'template' | 'capacity' = 'template',
): JobStart {
  return { kind: 'trouble', trouble: { reason, message, fault }, unexplained: undefined };
}

const started = (atMs: number): JobStart => ({ kind: 'started', atMs });
const STARTING: JobStart = { kind: 'starting', lookAgainAtMs: undefined, unexplained: undefined };

interface View extends Partial<Omit<HoldContext, 'claims' | 'starts'>> {
  readonly jobs?: readonly (readonly [Claim, JobStart])[];
}

function contextOf({ jobs = [], ...parts }: View): HoldContext {
  return {
    nowMs: NOW_MS,
    revision: 1,
    generation: 1,
    refusal: undefined,
    waiting: 0,
    lastReceiveMs: NOW_MS - 300_000,
    claims: jobs.map(([claim]) => claim),
    starts: new Map(jobs.map(([claim, start]) => [claim.job.metadata.name, start])),
    ...parts,
  };
}

const after = (before: HoldMemory | undefined, view: View): HoldMemory => nextHold(before, contextOf(view));

const J = jobOf('orders-j', 60);
const HELD = after(undefined, { jobs: [[J, stuck()]] });

describe('a template that no pod can start from', () => {
  test('holds intake, with the words of Kubernetes', () => {
    expect(HELD.hold).toMatchObject({ reason: 'ImagePullFailing', probeAtMs: NOW_MS + MINUTE_MS });
    expect(HELD.hold && holdProblem(HELD.hold)).toEqual({
      reason: 'ImagePullFailing',
      message: 'Job orders-j: not found. Intake is held; one message is tried at growing intervals.',
    });
  });

  test('does not when pods only wait for room', () => {
    expect(
      after(undefined, { jobs: [[J, stuck('Unschedulable', 'no room', 'capacity')]] }).hold,
    ).toBeUndefined();
  });

  test('does not when it is the template of an older revision', () => {
    const old = jobOf('orders-j', 60, { revision: 1 });
    expect(after(undefined, { revision: 2, jobs: [[old, stuck()]] }).hold).toBeUndefined();
  });

  test('does not when younger Jobs of the revision start', () => {
    const younger = jobOf('orders-k', 30);
    const jobs = [
      [J, stuck()],
      [younger, started(NOW_MS - 29_000)],
    ] as const;
    expect(after(undefined, { jobs }).hold).toBeUndefined();
  });

  test('does although older Jobs of the revision have started before', () => {
    const older = jobOf('orders-i', 90);
    const jobs = [
      [older, started(NOW_MS - 89_000)],
      [J, stuck()],
    ] as const;
    expect(after(undefined, { jobs }).hold).toBeDefined();
  });

  test('is told by its oldest Job, so that the words do not change from turn to turn', () => {
    const younger = jobOf('orders-a', 30);
    const jobs = [
      [younger, stuck('SecretNotFound', 'secret "s" not found')],
      [J, stuck()],
    ] as const;
    expect(after(undefined, { jobs }).hold).toMatchObject({
      reason: 'ImagePullFailing',
      message: 'Job orders-j: not found.',
    });
  });
});

describe('a hold', () => {
  test('ends when a worker of the revision starts', () => {
    expect(after(HELD, { jobs: [[J, started(NOW_MS)]] }).hold).toBeUndefined();
  });

  test('ends when a Job of the revision succeeds whose pod nobody saw', () => {
    const done = claimFrom({
      ...aJob({ name: 'orders-k', outcome: 'succeeded' }),
      status: {
        startTime: isoSeconds(NOW_MS - 2_000),
        completionTime: isoSeconds(NOW_MS),
        conditions: [{ type: 'Complete', status: 'True' }],
      },
    });
    expect(
      after(HELD, {
        jobs: [
          [J, STARTING],
          [done, STARTING],
        ],
      }).hold,
    ).toBeUndefined();
  });

  test('ends with a new revision', () => {
    expect(after(HELD, { revision: 2, generation: 2, jobs: [[J, stuck()]] }).hold).toBeUndefined();
  });

  test('does not end because the stuck pod is made anew', () => {
    expect(after(HELD, { jobs: [[J, STARTING]] }).hold).toEqual(HELD.hold);
  });

  test('does not end for a start from before the fault', () => {
    const older = jobOf('orders-i', 90);
    expect(
      after(HELD, {
        jobs: [
          [J, STARTING],
          [older, started(NOW_MS - 80_000)],
        ],
      }).hold,
    ).toEqual(HELD.hold);
  });

  test('asks with a message at once when the stuck Jobs are gone', () => {
    expect(after(HELD, { nowMs: NOW_MS + 1_000 }).hold).toMatchObject({ probeAtMs: NOW_MS + 1_000 });
    // Not for another one while the first waits for its Job.
    const probing = after(HELD, { nowMs: NOW_MS + 2_000, waiting: 1, lastReceiveMs: NOW_MS + 1_000 });
    expect(probing.hold).toMatchObject({ probeAtMs: NOW_MS + MINUTE_MS });
  });

  test('keeps its words while only numbers in them differ', () => {
    const before = after(undefined, { jobs: [[J, stuck('QuotaExceeded', 'used: pods=3, limited: pods=3')]] });
    const again = after(before, { jobs: [[J, stuck('QuotaExceeded', 'used: pods=4, limited: pods=3')]] });
    expect(again.hold).toEqual(before.hold);
    const other = after(before, { jobs: [[J, stuck('QuotaExceeded', 'exceeded quota: other')]] });
    expect(other.hold?.message).toBe('Job orders-j: exceeded quota: other.');
  });

  test('goes on with its intervals when one fault follows another', () => {
    const next = after(HELD, {
      nowMs: NOW_MS + 30_000,
      jobs: [[J, stuck('SecretNotFound', 'secret "s" not found')]],
    });
    expect(next.hold).toMatchObject({ reason: 'SecretNotFound', probeAtMs: NOW_MS + MINUTE_MS });
  });
});

describe('probes', () => {
  /** Whenever one is due a message is received and gets stuck as well; returns the minutes from probe to probe. */
  function intervals(count: number): number[] {
    let memory = HELD;
    let lastMs = NOW_MS;
    return Array.from({ length: count }, () => {
      const probeAtMs = memory.hold?.probeAtMs ?? 0;
      memory = after(memory, { nowMs: probeAtMs, lastReceiveMs: probeAtMs, jobs: [[J, stuck()]] });
      const minutes = (probeAtMs - lastMs) / MINUTE_MS;
      lastMs = probeAtMs;
      return minutes;
    });
  }

  test('come after 1, 2, 4 … 30 minutes', () => {
    expect(intervals(8)).toEqual([1, 2, 4, 8, 16, 30, 30, 30]);
  });

  test('wait until a message comes, however late', () => {
    const due = after(HELD, { nowMs: NOW_MS + 90_000, jobs: [[J, stuck()]] });
    expect(due.hold).toMatchObject({ probeAtMs: NOW_MS + MINUTE_MS, intervalMs: MINUTE_MS });
  });

  test('come at once after a change of the spec, and from then on as before', () => {
    const late = { ...HELD, hold: HELD.hold && { ...HELD.hold, intervalMs: 16 * MINUTE_MS } };
    const edited = after(late, { generation: 2, nowMs: NOW_MS + 5_000, jobs: [[J, stuck()]] });
    expect(edited.hold).toMatchObject({ probeAtMs: NOW_MS + 5_000, intervalMs: MINUTE_MS });
  });

  test.each([
    ['none while it is held', { nowMs: NOW_MS, waiting: 0 }, 10, 0],
    ['one when it is due', { nowMs: NOW_MS + MINUTE_MS, waiting: 0 }, 10, 1],
    ['one besides those that wait', { nowMs: NOW_MS + MINUTE_MS, waiting: 3 }, 10, 4],
    ['none when there is no slot', { nowMs: NOW_MS + MINUTE_MS, waiting: 0 }, 0, 0],
  ])('take %s', (_, now, room, taken) => {
    expect(roomUnderHold(HELD.hold, room, now)).toBe(taken);
  });

  test('are of no concern while nothing holds intake', () => {
    expect(roomUnderHold(undefined, 7, { nowMs: NOW_MS, waiting: 3 })).toBe(7);
  });
});

describe('exit code 78', () => {
  const NAMES = 'abcdefghij';
  /** Jobs that ended one after the other, each a second later, with these exit codes; message n belongs to Job n unless said otherwise. */
  function ended(
    exitCodes: readonly number[],
    messages: readonly number[] = exitCodes.map((_, index) => index),
  ): Claim[] {
    return exitCodes.map((exitCode, index) =>
      jobOf(`orders-${NAMES[index]}`, 100, {
        message: { id: messageId(messages[index] ?? index) },
        outcome: exitCode === 0 ? 'succeeded' : 'failed',
        settled: true,
        finishedAtMs: NOW_MS - 50_000 + index * 1_000,
        ...(exitCode !== 0 && {
          annotations: {
            'batchqueue.io/result': JSON.stringify({
              exitCode,
              reason: 'x',
              message: 'no rules at /etc/rules.json',
            }),
          },
        }),
      }),
    );
  }
  const heldBy = (claims: readonly Claim[], before?: HoldMemory) =>
    after(before, { jobs: claims.map((claim) => [claim, STARTING] as const) }).hold;

  test('three times in a row from different messages holds intake, with the words of the worker', () => {
    expect(heldBy(ended([78, 78, 78]))).toMatchObject({
      reason: 'WorkerMisconfigured',
      message:
        'The workers of several messages in a row ended with exit code 78 (EX_CONFIG); Job orders-c: no rules at /etc/rules.json.',
    });
  });

  test.each<[string, number[], number[] | undefined]>([
    ['only twice', [78, 78], undefined],
    ['with a success between', [78, 78, 0, 78], undefined],
    ['with another failure between', [78, 65, 78, 78], undefined],
    ['before a success', [78, 78, 78, 0], undefined],
    ['from the same message', [78, 78, 78, 78], [1, 1, 1, 1]],
    ['from two messages', [78, 78, 78, 78], [1, 2, 1, 2]],
    ['which is another code', [75, 75, 75], undefined],
  ])('does not hold intake %s', (_, exitCodes, messages) => {
    expect(heldBy(ended(exitCodes, messages))).toBeUndefined();
  });

  test('is remembered although the history limit keeps one Job only', () => {
    const jobs = ended([78, 78, 78]);
    const memory = jobs
      .slice(0, 2)
      .reduce<HoldMemory | undefined>((before, job) => after(before, { jobs: [[job, STARTING]] }), undefined);
    expect(memory?.hold).toBeUndefined();
    expect(heldBy(jobs.slice(2), memory)).toMatchObject({ reason: 'WorkerMisconfigured' });
  });

  test('is over with a success, and with a new revision', () => {
    const held = after(undefined, { jobs: ended([78, 78, 78]).map((claim) => [claim, STARTING] as const) });
    expect(held.hold).toBeDefined();
    expect(heldBy(ended([78, 78, 78, 0]), held)).toBeUndefined();
    expect(after(held, { revision: 2, generation: 2 }).hold).toBeUndefined();
  });

  test('is read from the condition of the Job while it is not settled', () => {
    const jobs = ['a', 'b', 'c'].map((name, index) =>
      jobOf(`orders-${name}`, 100, {
        message: { id: messageId(index) },
        outcome: 'failed',
        failure: {
          reason: 'PodFailurePolicy',
          message:
            'Container worker for pod shop/orders-a-x1 failed with exit code 78 matching FailJob rule at index 3',
        },
      }),
    );
    expect(heldBy(jobs)).toMatchObject({ reason: 'WorkerMisconfigured' });
  });

  test('is not taken from a worker that was taken away', () => {
    const jobs = ['a', 'b', 'c'].map((name, index) =>
      jobOf(`orders-${name}`, 100, { message: { id: messageId(index) }, outcome: 'failed' }),
    );
    expect(heldBy(jobs)).toBeUndefined();
  });
});

describe('a refused create', () => {
  const forbidden = {
    code: 'Forbidden',
    message:
      'create jobs shop/orders-a: Forbidden: jobs.batch "orders-a" is forbidden: exceeded quota: few, requested: count/jobs.batch=1, used: count/jobs.batch=3, limited: count/jobs.batch=3',
    outcomeUnknown: false,
  };
  const refusal = afterCreate(NO_REFUSALS, 'orders-a', forbidden, NOW_MS).general;

  test('holds intake while Jobs wait to be created', () => {
    const held = after(undefined, { refusal, waiting: 2 });
    expect(held.hold).toMatchObject({ source: 'creation', reason: 'QuotaExceeded' });
    expect(held.hold?.message).toContain('exceeded quota: few, requested: count/jobs.batch=1');
    expect(after(held, { refusal: undefined }).hold).toBeUndefined();
  });

  test('by a server that is busy for a moment does not', () => {
    const busy = (tries: number): CreationRefusal => ({
      reason: 'ApiServerThrottled',
      message: 'too many requests',
      isGeneral: true,
      tries,
      refusedAtMs: NOW_MS,
      retryAtMs: NOW_MS + 1_000,
    });
    expect(after(undefined, { refusal: busy(1), waiting: 1 }).hold).toBeUndefined();
    expect(after(undefined, { refusal: busy(3), waiting: 1 }).hold).toMatchObject({
      reason: 'ApiServerThrottled',
    });
  });
});
