import { describe, expect, test } from '@jest/globals';
import type { BatchQueueStatus } from '../../../operator/api/batch-queue.ts';
import { planHistory } from '../../../operator/plan/history.ts';
import type { Action } from '../../../operator/plan/plan.ts';
import { aClaim, type ClaimParts, messageId, NOW_MS } from '../../support/builders.ts';

/** A settled Job that ended so many seconds ago. */
function ended(number: number, parts: ClaimParts) {
  return aClaim({
    settled: true,
    name: `job-${number}`,
    message: { id: messageId(number) },
    finishedAtMs: NOW_MS - number * 1_000,
    ...parts,
  });
}

function deleted(limits: [number, number], ...claims: readonly ReturnType<typeof aClaim>[]): string[] {
  return deletedWhile('idle', limits, ...claims);
}

function deletedWhile(
  state: 'busy' | 'idle',
  [successfulJobsHistoryLimit, failedJobsHistoryLimit]: [number, number],
  ...claims: readonly ReturnType<typeof aClaim>[]
): string[] {
  const spec = { successfulJobsHistoryLimit, failedJobsHistoryLimit };
  return namesIn(planHistory(claims, { spec, status: telling(0, 0) }, state === 'busy'));
}

function namesIn(actions: readonly Action[]): string[] {
  return actions.map((action) =>
    action.kind === 'deleteJob' ? action.claim.job.metadata.name : action.kind,
  );
}

/** A status that tells of successes and failures up to so many seconds ago. */
function telling(successSecondsAgo: number, failureSecondsAgo: number): BatchQueueStatus {
  const timeOf = (secondsAgo: number) => new Date(NOW_MS - secondsAgo * 1_000).toISOString();
  return { lastSuccessTime: timeOf(successSecondsAgo), lastFailure: { time: timeOf(failureSecondsAgo) } };
}

describe('planHistory', () => {
  const succeeded = [3, 1, 2].map((number) => ended(number, { outcome: 'succeeded' }));
  const failed = [6, 4, 5].map((number) => ended(number, { outcome: 'failed' }));

  test.each<[string, [number, number], string[]]>([
    ['keeps everything within the limits', [3, 3], []],
    ['deletes the oldest beyond them, each outcome by its own', [2, 1], ['job-3', 'job-5', 'job-6']],
    ['keeps none with limits of nothing', [0, 0], ['job-1', 'job-2', 'job-3', 'job-4', 'job-5', 'job-6']],
  ])('%s', (_, limits, names) => {
    expect(deleted(limits, ...succeeded, ...failed)).toEqual(names);
  });

  test.each<[string, ClaimParts]>([
    ['owes a settlement', { outcome: 'succeeded', settled: false }],
    ['owes a settlement after failure', { outcome: 'failed', settled: false }],
    ['runs', { outcome: 'active' }],
    ['is being deleted already', { outcome: 'succeeded', deleting: true }],
  ])('never deletes a Job that %s', (_, parts) => {
    expect(deleted([0, 0], ended(1, parts))).toEqual([]);
  });

  test('waits while messages do, until five hundred Jobs too many are there', () => {
    const many = Array.from({ length: 504 }, (_, index) => ended(index, { outcome: 'succeeded' }));
    expect(deletedWhile('busy', [3, 0], ...many.slice(0, 503))).toEqual([]);
    expect(deletedWhile('busy', [3, 0], ...many)).toEqual(['job-503']);
    expect(deletedWhile('idle', [3, 0], ...many)).toHaveLength(501);
  });

  test.each<[string, BatchQueueStatus | undefined, string[]]>([
    ['nothing', undefined, []],
    ['all but the newest success and two failures', telling(2, 6), ['job-2', 'job-3', 'job-6']],
  ])('keeps what has ended since the written status, which tells of %s', (_, written, names) => {
    const spec = { successfulJobsHistoryLimit: 0, failedJobsHistoryLimit: 0 };
    const queue = { spec, status: written };
    expect(namesIn(planHistory([...succeeded, ...failed], queue, false))).toEqual(names);
  });

  test('chooses the same Jobs in whatever order they are listed, also among those that ended in one second', () => {
    const claims = ['a', 'b', 'c'].map((name) => ended(1, { outcome: 'failed', name }));
    expect(deleted([0, 1], ...claims).toSorted()).toEqual(deleted([0, 1], ...claims.toReversed()).toSorted());
  });
});
