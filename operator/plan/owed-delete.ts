import type { BatchQueue } from '../api/batch-queue.ts';
import type { Claim, HeldMessage, LedgerMessage } from './job-facts.ts';
import { ledgerMessageFrom } from './ledger.ts';
import type { InboxMessage } from './message.ts';
import { fifoOrder } from './message-group.ts';

/** What tells whether a message may still be delivered. */
export interface DeliveryContext {
  readonly nowMs: number;
  /** Undefined when the BatchQueue is gone: then nobody receives. */
  readonly queue: BatchQueue | undefined;
  readonly claims: readonly Claim[];
  readonly inbox: readonly InboxMessage[];
  /** Of the queue that is polled; undefined while unknown. */
  readonly queueArn: string | undefined;
  readonly maxReceiveCount: number | undefined;
  /** How long SQS keeps a message from when it was sent, in seconds; undefined while unknown. */
  readonly retentionSeconds: number | undefined;
}

/**
 * A FIFO queue refuses a delete whose receipt handle has expired; it is owed until the message is delivered again. True as
 * long as that may happen. Not for a Job that somebody deletes, where nobody polls the queue, and not once the message
 * must be gone from it: by its retention, by its last receive, or because a later one of its group was delivered.
 */
export function isStillOwed(claim: Claim, message: HeldMessage, context: DeliveryContext): boolean {
  const { queue, queueArn, maxReceiveCount, retentionSeconds, nowMs } = context;
  if (message.refusedAtMs === undefined) return false;
  if (claim.deleting || !queue || (queueArn !== undefined && queueArn !== claim.ledger?.queue.arn))
    return false;
  // The next receive would take it to the dead-letter queue instead.
  if (maxReceiveCount !== undefined && message.receiveCount >= maxReceiveCount) return false;
  if (retentionSeconds !== undefined && nowMs > message.sentAtMs + retentionSeconds * 1000) return false;
  return !deliveredOf(claim.ledger?.queue.arn, context).some((other) => hasOvertaken(other, message));
}

/**
 * SQS gives out no message of a group before an earlier one: not while that is in flight, and together with it once it is
 * visible. So when one was asked for after the refusal, and the earlier one has not come with it, the earlier one is gone.
 */
function hasOvertaken(
  other: LedgerMessage,
  { id, groupId, sequenceNumber, refusedAtMs = 0 }: HeldMessage,
): boolean {
  if (other.groupId !== groupId || other.receivedAtMs <= refusedAtMs) return false;
  return fifoOrder(other, { id, sequenceNumber }) > 0;
}

/** What has been received of this queue, as far as Jobs and the inbox know. */
function deliveredOf(arn: string | undefined, { claims, inbox }: DeliveryContext): readonly LedgerMessage[] {
  return [
    ...inbox.filter(({ queue }) => queue.arn === arn).map(ledgerMessageFrom),
    ...claims.flatMap(({ ledger }) => (ledger && ledger.queue.arn === arn ? ledger.messages : [])),
  ];
}
