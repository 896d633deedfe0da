import type { BatchQueue, BatchQueueSpec, BatchQueueStatus } from '../api/batch-queue.ts';
import { byNewestEnd } from './claim.ts';
import type { Claim } from './job-facts.ts';
import type { Action } from './plan.ts';

/** So many more Jobs are kept while there is work for messages: tidying up can wait, they cannot. */
const KEPT_WHILE_BUSY = 500;

/** The limits of a BatchQueue, and its status as it stands there. */
interface HistoryKeeper extends Pick<BatchQueue, 'status'> {
  readonly spec: Pick<BatchQueueSpec, 'successfulJobsHistoryLimit' | 'failedJobsHistoryLimit'>;
}

/**
 * Deletes the oldest settled Jobs beyond the limits, as a CronJob does. A Job that still owes a settlement is never
 * among them: its finalizer is what the limits look at. Nor is one that ended after what the written status tells of:
 * without the Job, a process that ends before the next write would leave nobody who knows. While there is work for
 * messages (`isBusy`) more are kept.
 */
export function planHistory(claims: readonly Claim[], queue: HistoryKeeper, isBusy: boolean): Action[] {
  const { successfulJobsHistoryLimit, failedJobsHistoryLimit } = queue.spec;
  const more = isBusy ? KEPT_WHILE_BUSY : 0;
  const settled = claims.filter((claim) => claim.settled && claim.outcome !== 'active' && !claim.deleting);
  const old = [
    ...surplus(settled, 'succeeded', successfulJobsHistoryLimit + more),
    ...surplus(settled, 'failed', failedJobsHistoryLimit + more),
  ];
  if (old.length === 0) return [];
  const { status } = queue;
  return old.filter((claim) => isTold(claim, status)).map((claim) => ({ kind: 'deleteJob', claim }));
}

function isTold({ outcome, finishedAtMs }: Claim, written: BatchQueueStatus | undefined): boolean {
  const newest = outcome === 'succeeded' ? written?.lastSuccessTime : written?.lastFailure?.time;
  return newest !== undefined && Date.parse(newest) >= (finishedAtMs ?? 0);
}

function surplus(claims: readonly Claim[], outcome: 'succeeded' | 'failed', limit: number): readonly Claim[] {
  return claims
    .filter((claim) => claim.outcome === outcome)
    .toSorted(byNewestEnd)
    .slice(limit);
}
