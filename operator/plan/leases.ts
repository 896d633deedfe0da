import type { BatchQueue } from '../api/batch-queue.ts';
import { newestClaims } from './claim.ts';
import type { Claim } from './job-facts.ts';
import { settledThrough } from './ledger.ts';
import type { QueueRef } from './message.ts';
import type { Lease } from './plan.ts';
import { readerKey } from './queue-reader.ts';
import { isSuperseded } from './rerun.ts';
import type { Snapshot } from './snapshot.ts';

/**
 * The leases of all messages that Jobs hold. One is kept until its settlement is done, also while the settlement itself
 * cannot be carried out. Not for a Job whose messages a later run holds, nor for a message that SQS has taken back or is
 * just being told of: a renewal would undo that.
 */
export function leasesOf(
  { claims, settling }: Pick<Snapshot, 'claims' | 'settling'>,
  live: BatchQueue | undefined,
  polledArn: string | undefined,
): readonly Lease[] {
  const newest = newestClaims(claims);
  const settled = new Map(settling.map(({ claim, verdicts }) => [claim.job.metadata.name, verdicts]));
  return claims.flatMap((claim) => {
    const { ledger } = claim;
    if (!ledger || claim.held.length === 0 || isSuperseded(claim, newest)) return [];
    const leases = leasesThrough(settledThrough(ledger, live, polledArn), claim);
    const told = new Set(settled.get(claim.job.metadata.name)?.map(({ message }) => message.id));
    return told.size === 0 ? leases : leases.filter(({ messageId }) => !told.has(messageId));
  });
}

/** The leases of a claim as last asked for, and through which queue. */
const known = new WeakMap<Claim, { readonly queue: QueueRef; readonly leases: readonly Lease[] }>();

/** A turn of a burst asks for thousands of which few are new: the same objects tell the heartbeat that nothing has changed. */
function leasesThrough(queue: QueueRef, claim: Claim): readonly Lease[] {
  const before = known.get(claim);
  if (before && before.queue.arn === queue.arn && readerKey(before.queue) === readerKey(queue))
    return before.leases;
  const visibilityTimeoutSeconds = claim.ledger?.visibilityTimeoutSeconds ?? 0;
  const leases = claim.held
    .filter(({ refusedAtMs }) => refusedAtMs === undefined)
    .map(({ id: messageId, receiptHandle, receivedAtMs }) => {
      return { queue, messageId, receiptHandle, receivedAtMs, visibilityTimeoutSeconds };
    });
  known.set(claim, { queue, leases });
  return leases;
}
