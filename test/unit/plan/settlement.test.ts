import { describe, expect, test } from '@jest/globals';
import { ANNOTATION_LEDGER } from '../../../operator/api/names.ts';
import { planSettlement, type SettlementContext } from '../../../operator/plan/settlement.ts';
import type { Claim, PodsOfJob } from '../../../operator/plan/types.ts';
import { aClaim, anInboxMessage, type ClaimParts, MESSAGE_ID, NOW_MS } from '../../support/builders.ts';

const RETRY = { minBackoffSeconds: 10, maxBackoffSeconds: 3600 };
const NO_PODS: PodsOfJob = { running: 0, terminating: 0, result: undefined };

function plan(claim: Claim, context: Partial<SettlementContext> = {}) {
  return planSettlement([claim], { nowMs: NOW_MS, retry: RETRY, pods: new Map(), inbox: [], ...context });
}

/** A list of pods of this Job. */
function pods(claim: Claim, parts: Partial<PodsOfJob> = {}) {
  return new Map([[claim.job.metadata.name, { ...NO_PODS, ...parts }]]);
}

describe('a message is deleted', () => {
  test.each<[string, ClaimParts]>([
    ['after its Job succeeded', { outcome: 'succeeded' }],
    ['after its Job succeeded although somebody deletes the Job', { outcome: 'succeeded', deleting: true }],
  ])('%s', (_, parts) => {
    const claim = aClaim(parts);
    expect(plan(claim)).toEqual([
      {
        kind: 'settle',
        claim,
        verdict: 'delete',
        messages: claim.ledger?.messages,
        delaySeconds: 0,
        result: undefined,
      },
    ]);
  });

  const outcomes = ['active', 'failed'] as const;
  const flags = [false, true];
  const others = outcomes.flatMap((outcome) =>
    flags.flatMap((deleting) => flags.map((settled): ClaimParts => ({ outcome, deleting, settled }))),
  );
  test.each(others)('never for %j', (parts) => {
    const claim = aClaim(parts);
    const verdicts = [new Map(), pods(claim), pods(claim, { running: 1 })].flatMap((listed) =>
      plan(claim, { pods: listed }).map((action) =>
        action.kind === 'settle' ? action.verdict : action.kind,
      ),
    );
    expect(verdicts).not.toContain('delete');
  });
});

describe('a message is released', () => {
  test.each([
    ['after the first attempt with the shortest delay', 1, 10, 10],
    ['after the third attempt with a longer one', 3, 20, 40],
  ])('%s', (_, attempt, least, most) => {
    const claim = aClaim({ outcome: 'failed', attempt });
    const [action] = plan(claim, { pods: pods(claim) });
    expect(action).toMatchObject({ kind: 'settle', verdict: 'release', messages: claim.ledger?.messages });
    const delay = action?.kind === 'settle' ? action.delaySeconds : undefined;
    expect(delay).toBeGreaterThanOrEqual(least);
    expect(delay).toBeLessThanOrEqual(most);
  });

  test('at once when its BatchQueue is gone', () => {
    const claim = aClaim({ outcome: 'failed', attempt: 5 });
    expect(plan(claim, { retry: undefined, pods: pods(claim) })).toMatchObject([{ delaySeconds: 0 }]);
  });

  test('within twelve hours from its receive', () => {
    const message = { receivedAtMs: NOW_MS - 43_000_000 };
    const claim = aClaim({ outcome: 'failed', attempt: 20, message });
    expect(plan(claim, { pods: pods(claim) })).toMatchObject([{ delaySeconds: 190 }]);
  });

  test('only when the pods of its Job have been listed: they know what its worker reported', () => {
    expect(plan(aClaim({ outcome: 'failed' }))).toEqual([]);
  });

  test('with what its worker reported', () => {
    const claim = aClaim({ outcome: 'failed' });
    const result = { exitCode: 65, reason: 'DataError', message: 'line 3' };
    expect(plan(claim, { pods: pods(claim, { result }) })).toMatchObject([{ verdict: 'release', result }]);
  });

  test('with the deadline as the reason, although the pod only says how it was ended', () => {
    const failure = { reason: 'DeadlineExceeded', message: 'Job was active longer than specified deadline' };
    const claim = aClaim({ outcome: 'failed', failure });
    const ended = {
      running: 0,
      terminating: 0,
      result: { exitCode: 75, reason: 'TemporaryFailure', message: 'SIGTERM' },
    };
    expect(plan(claim, { pods: new Map([[claim.job.metadata.name, ended]]) })).toMatchObject([
      { result: { ...failure, exitCode: 75 } },
    ]);
  });

  test('with what the Job says when its pod is gone', () => {
    const message =
      'Container worker for pod shop/x failed with exit code 75 matching FailJob rule at index 2';
    const claim = aClaim({ outcome: 'failed', failure: { reason: 'PodFailurePolicy', message } });
    expect(plan(claim, { pods: pods(claim) })).toMatchObject([
      { result: { exitCode: 75, reason: 'TemporaryFailure', message } },
    ]);
  });
});

describe('a Job that somebody deletes while it runs', () => {
  const claim = aClaim({ deleting: true });

  test('owes nothing yet while its pods have not been listed: an unread list is not zero pods', () => {
    expect(plan(claim)).toEqual([]);
  });

  test('has its pods ended first', () => {
    expect(plan(claim, { pods: pods(claim, { running: 1, terminating: 1 }) })).toEqual([
      { kind: 'stopPods', claim },
    ]);
  });

  test('keeps its messages until the last pod has ended', () => {
    expect(plan(claim, { pods: pods(claim, { terminating: 1 }) })).toEqual([]);
  });

  test('gives its messages back then', () => {
    expect(plan(claim, { pods: pods(claim) })).toMatchObject([
      { kind: 'settle', verdict: 'release', result: { reason: 'JobDeleted' } },
    ]);
  });
});

describe('a settlement', () => {
  test('uses the newest receipt handle, also one that no Job has stored yet', () => {
    const claim = aClaim({ outcome: 'succeeded', message: { receiveCount: 1 } });
    const inbox = [anInboxMessage({ receiveCount: 2, receiptHandle: 'newest' })];
    expect(plan(claim, { inbox })).toMatchObject([
      { verdict: 'delete', messages: [{ id: MESSAGE_ID, receiptHandle: 'newest', receiveCount: 2 }] },
    ]);
  });

  test.each([1, 2])(
    'does not go back to an older receipt handle (receive %i in the inbox)',
    (receiveCount) => {
      const claim = aClaim({ outcome: 'succeeded', message: { receiveCount: 2 } });
      const inbox = [anInboxMessage({ receiveCount, receiptHandle: 'other' })];
      expect(plan(claim, { inbox })).toMatchObject([{ messages: claim.ledger?.messages }]);
    },
  );

  test('that is done is not done again', () => {
    expect(plan(aClaim({ outcome: 'succeeded', settled: true }))).toEqual([]);
    expect(plan(aClaim({ outcome: 'failed', settled: true }))).toEqual([]);
  });

  test.each(['succeeded', 'failed'] as const)(
    'touches no message for an unreadable ledger of a Job that %s',
    (outcome) => {
      const claim = aClaim({ outcome, annotations: { [ANNOTATION_LEDGER]: '?' } });
      expect(plan(claim, { pods: pods(claim) })).toMatchObject([{ verdict: 'abandon', messages: [] }]);
    },
  );
});
