import type { BatchQueue } from '../api/batch-queue.ts';
import type { Claim, HeldMessage, LedgerMessage } from './job-facts.ts';
import { MIN_RECEIVE_TIMEOUT_SECONDS } from './lease.ts';
import { ledgerMessageFrom } from './ledger.ts';
import type { InboxMessage } from './message.ts';
import { fifoOrder } from './message-group.ts';
import type { Polls } from './snapshot.ts';

/** A poll takes up to 20 s, an answer up to 30 s, and clocks differ, in milliseconds. */
const POLL_MARGIN_MS = 60_000;

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
  readonly polls: Polls;
}

/**
 * A FIFO queue refuses a delete whose receipt handle has expired; it is owed until the message is delivered again. True as
 * long as that may happen. Not for a Job that somebody deletes, where nobody polls the queue, and not once the message
 * must be gone from it: by its retention, by its last receive, because a later one of its group was delivered, or because
 * polls bring nothing.
 */
export function isStillOwed(claim: Claim, message: HeldMessage, context: DeliveryContext): boolean {
  const { queue, queueArn } = context;
  if (message.refusedAtMs === undefined || claim.deleting || !queue) return false;
  if (queueArn !== undefined && queueArn !== claim.ledger?.queue.arn) return false;
  return !mustBeGone(claim, message, context);
}

function mustBeGone(claim: Claim, message: HeldMessage, context: DeliveryContext): boolean {
  const { maxReceiveCount, retentionSeconds, nowMs } = context;
  // The next receive would take it to the dead-letter queue instead.
  if (maxReceiveCount !== undefined && message.receiveCount >= maxReceiveCount) return true;
  if (retentionSeconds !== undefined && nowMs > message.sentAtMs + retentionSeconds * 1000) return true;
  if (wouldHaveCome(claim, message, context)) return true;
  return deliveredOf(claim.ledger?.queue.arn, context).some((other) => hasOvertaken(other, message));
}

/**
 * A receive whose answer was lost hides a message for one visibility timeout. After that a poll which brings nothing tells
 * that it is not in the queue: a long poll asks all of SQS's servers, and what is done hides behind nothing in its group.
 * Somebody else may hold it, who reads the queue too. If it comes again all the same, the Job remembers that it is done.
 */
function wouldHaveCome(
  { ledger }: Claim,
  { refusedAtMs = 0 }: HeldMessage,
  context: DeliveryContext,
): boolean {
  const { polls, queue } = context;
  const timeoutSeconds = Math.max(
    MIN_RECEIVE_TIMEOUT_SECONDS,
    ledger?.visibilityTimeoutSeconds ?? 0,
    queue?.spec.queue.visibilityTimeoutSeconds ?? 0,
  );
  const fromMs = Math.max(polls.answeredSinceMs, refusedAtMs) + timeoutSeconds * 1_000 + POLL_MARGIN_MS;
  return polls.emptyAtMs > fromMs;
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
