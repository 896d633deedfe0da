import type { BatchQueueSpec } from '../api/batch-queue.ts';
import { byNewestEnd } from './claim.ts';
import type { Action, Claim } from './types.ts';

/** So many more Jobs are kept while there is work for messages: tidying up can wait, they cannot. */
const KEPT_WHILE_BUSY = 500;

type HistoryLimits = Pick<BatchQueueSpec, 'successfulJobsHistoryLimit' | 'failedJobsHistoryLimit'>;

/**
 * Deletes the oldest settled Jobs beyond the limits, as a CronJob does. A Job that still owes a settlement is never
 * among them: its finalizer is what the limits look at.
 */
export function planHistory(claims: readonly Claim[], limits: HistoryLimits, isBusy: boolean): Action[] {
  const more = isBusy ? KEPT_WHILE_BUSY : 0;
  const settled = claims.filter((claim) => claim.settled && claim.outcome !== 'active' && !claim.deleting);
  return [
    ...surplus(settled, 'succeeded', limits.successfulJobsHistoryLimit + more),
    ...surplus(settled, 'failed', limits.failedJobsHistoryLimit + more),
  ].map((claim) => ({ kind: 'deleteJob', claim }));
}

function surplus(claims: readonly Claim[], outcome: 'succeeded' | 'failed', limit: number): readonly Claim[] {
  return claims
    .filter((claim) => claim.outcome === outcome)
    .toSorted(byNewestEnd)
    .slice(limit);
}
