import { describe, expect, test } from '@jest/globals';
import { ANNOTATION_MESSAGES, ANNOTATION_NEVER_STARTED } from '../../../operator/api/names.ts';
import { newestClaims } from '../../../operator/plan/claim.ts';
import { rerunDelayMs } from '../../../operator/plan/infrastructure-fault.ts';
import type { Claim, PodsOfJob, WorkerReport } from '../../../operator/plan/job-facts.ts';
import { parseLedger } from '../../../operator/plan/ledger.ts';
import { planQueue } from '../../../operator/plan/queue-plan.ts';
import { isSuperseded, planReruns, type RerunContext } from '../../../operator/plan/rerun.ts';
import {
  aClaim,
  aMessage,
  anInboxMessage,
  aQueue,
  aRevision,
  aSnapshot,
  type ClaimParts,
  messageId,
  NOW_MS,
} from '../../support/builders.ts';

const LONG_AGO = NOW_MS - 3_600_000;
const EVICTED: WorkerReport = { reason: 'Evicted', message: 'the node was low on memory' };

function failed(parts: ClaimParts = {}): Claim {
  return aClaim({ outcome: 'failed', finishedAtMs: LONG_AGO, ...parts });
}

function podsOf(claim: Claim, parts: Partial<PodsOfJob> = {}): ReadonlyMap<string, PodsOfJob> {
  const none = {
    running: 0,
    terminating: 0,
    neverStarted: false,
    result: undefined,
    resultOfIndex: new Map(),
  };
  return new Map([[claim.job.metadata.name, { ...none, ...parts }]]);
}

function contextOf(parts: Partial<RerunContext> = {}): RerunContext {
  return {
    nowMs: NOW_MS,
    queue: aQueue(),
    revision: aRevision(),
    pods: new Map(),
    inbox: [],
    jobsListedAtMs: NOW_MS,
    ...parts,
  };
}

describe('an infrastructure fault', () => {
  test('costs a run and not an attempt: the next Job holds the same messages and the same file', () => {
    const claim = failed({
      messages: [1, 2].map((number) => aMessage({ id: messageId(number) })),
      attempt: 3,
    });
    const { actions } = planReruns([claim], contextOf({ pods: podsOf(claim, { neverStarted: true }) }));
    const [action] = actions;
    expect(action?.job.metadata.name).toBe(`${claim.job.metadata.name}-r2`);
    expect(action && parseLedger(action.job)).toEqual({ ...claim.ledger, run: 2 });
    const file = (job: unknown) => Object(job).spec.template.metadata.annotations[ANNOTATION_MESSAGES];
    expect(file(action?.job)).toBe(file(claim.job));
  });

  test('is run again right after a list of the Jobs only: a process that was asleep knows of no newer one', () => {
    const claim = failed();
    const pods = podsOf(claim, { neverStarted: true });
    const at = (jobsListedAtMs: number) => planReruns([claim], contextOf({ pods, jobsListedAtMs }));
    expect(at(NOW_MS - 4_001)).toEqual({ actions: [], nextAtMs: undefined, needsList: true });
    expect(at(NOW_MS - 4_000)).toMatchObject({ actions: [{ kind: 'rerun' }], needsList: false });
  });

  test.each<[string, ClaimParts, Partial<PodsOfJob>, boolean]>([
    ['a worker that never started', {}, { neverStarted: true }, true],
    ['a pod that was evicted', {}, { result: EVICTED }, true],
    [
      'a Job that we ended because it could not start',
      { annotations: { [ANNOTATION_NEVER_STARTED]: 'x' } },
      {},
      true,
    ],
    [
      'a deadline that passed before any worker could start',
      {
        annotations: { [ANNOTATION_NEVER_STARTED]: 'x' },
        failure: { reason: 'DeadlineExceeded', message: 'Job was active longer than specified deadline' },
      },
      {},
      true,
    ],
    [
      'a worker that has started and failed since its Job was marked',
      { annotations: { [ANNOTATION_NEVER_STARTED]: 'x' } },
      { result: { exitCode: 1, reason: 'Error', message: '' } },
      false,
    ],
    ['an exit code', {}, { result: { exitCode: 137, reason: 'OOMKilled', message: '' } }, false],
    ['an evicted pod whose worker had ended', {}, { result: { ...EVICTED, exitCode: 1 } }, false],
    ['a pod that is gone', {}, {}, false],
    [
      'an exit code of the contract, whatever the pod says',
      { failure: { reason: 'PodFailurePolicy', message: 'exit code 65' } },
      { neverStarted: true },
      false,
    ],
    [
      'the deadline that the user set',
      { failure: { reason: 'DeadlineExceeded', message: 'too long' } },
      { neverStarted: true },
      false,
    ],
    ['a Job that somebody deletes', { deleting: true }, { neverStarted: true }, false],
    ['a Job that has settled a message', { fates: { deleted: '0' } }, { neverStarted: true }, false],
    ['the last run that has a name', { run: 99 }, { neverStarted: true }, false],
  ])('is told apart: %s', (_, parts, pods, isFault) => {
    const messages = [1, 2].map((number) => aMessage({ id: messageId(number) }));
    const claim = failed({ messages, ...parts });
    const listed = podsOf(claim, pods);
    expect(planReruns([claim], contextOf({ pods: listed })).actions).toHaveLength(isFault ? 1 : 0);
    const plan = planQueue(aSnapshot({ claims: [claim], pods: listed }), undefined);
    expect(plan.actions.map(({ kind }) => kind)).toContain(isFault ? 'rerun' : 'settle');
    expect(plan.actions.map(({ kind }) => kind)).not.toContain(isFault ? 'settle' : 'rerun');
  });

  test('waits longer with every run, and keeps slot and lease meanwhile', () => {
    const claim = failed({ run: 4, finishedAtMs: NOW_MS - 30_000 });
    const pods = podsOf(claim, { neverStarted: true });
    expect(planReruns([claim], contextOf({ pods }))).toEqual({
      actions: [],
      nextAtMs: NOW_MS + 50_000,
      needsList: false,
    });
    const plan = planQueue(aSnapshot({ claims: [claim], pods }), undefined);
    expect(plan.actions).toEqual([]);
    expect(plan.requeueAfterMs).toBe(50_000);
    expect(plan.intake?.room).toBe(9);
    expect(plan.leases).toHaveLength(1);
    expect([1, 2, 3, 6, 50].map(rerunDelayMs)).toEqual([10_000, 20_000, 40_000, 300_000, 300_000]);
  });

  test('takes the receipt handle of a delivery that came meanwhile', () => {
    const claim = failed();
    const again = anInboxMessage({ receiveCount: 2, receiptHandle: 'newest' });
    const { actions } = planReruns(
      [claim],
      contextOf({ pods: podsOf(claim, { neverStarted: true }), inbox: [again] }),
    );
    expect(actions).toMatchObject([{ redelivered: [again] }]);
    expect(actions[0] && parseLedger(actions[0].job)?.messages[0]?.receiptHandle).toBe('newest');
  });

  test.each<[string, Partial<RerunContext>]>([
    ['without a revision to run', { revision: undefined }],
    ['without a BatchQueue', { queue: undefined }],
  ])('starts nothing %s', (_, parts) => {
    const claim = failed();
    expect(
      planReruns([claim], contextOf({ pods: podsOf(claim, { neverStarted: true }), ...parts })).actions,
    ).toEqual([]);
  });
});

describe('a run that a later one has taken over', () => {
  const before = failed();
  const after = aClaim({ run: 2 });

  test('owes nothing itself: only its finalizer goes', () => {
    expect(isSuperseded(before, newestClaims([before, after]))).toBe(true);
    expect(isSuperseded(after, newestClaims([before, after]))).toBe(false);
    const plan = planQueue(aSnapshot({ claims: [before, after] }), undefined);
    expect(plan.actions).toMatchObject([
      { kind: 'settle', claim: before, verdicts: [], final: true, note: 'superseded' },
    ]);
    expect(plan.leases).toHaveLength(1);
  });
});

test('a batch of which one message has a Job of a later attempt is not run again: it would run beside that', () => {
  const messages = [1, 2].map((number) => aMessage({ id: messageId(number) }));
  const claim = failed({ messages });
  const later = aClaim({ messages: messages.slice(1), attempt: 2 });
  const pods = podsOf(claim, { neverStarted: true });
  expect(planReruns([claim], contextOf({ pods })).actions).toHaveLength(1);
  expect(planReruns([claim, later], contextOf({ pods })).actions).toEqual([]);
  const plan = planQueue(aSnapshot({ claims: [claim, later], pods }), undefined);
  expect(plan.actions).toMatchObject([
    { kind: 'settle', claim, verdicts: [{ does: 'release', message: { id: messageId(1) } }], final: true },
  ]);
});
