import type { BatchQueue } from '../api/batch-queue.ts';
import { attemptOf } from './claim.ts';
import { buildJob } from './job.ts';
import { clampDelay, outlivesCreate } from './lease.ts';
import { ledgerMessageFrom, messageKey } from './ledger.ts';
import { buildMessagesFile, fitsPodTemplate } from './messages-file.ts';
import type { Action, Claim, InboxMessage, Ledger, Revision } from './types.ts';

/** What a received message is judged by. */
export interface DispatchContext {
  readonly nowMs: number;
  /** Undefined when the BatchQueue is gone: then messages are given back. */
  readonly queue: BatchQueue | undefined;
  /** Undefined while no revision may be run yet: then messages wait under their lease. */
  readonly revision: Revision | undefined;
  readonly claims: readonly Claim[];
}

/**
 * What to do with each received message, looking at the newest Job that holds it:
 *
 * | newest Job               | then                                                     |
 * | ------------------------ | -------------------------------------------------------- |
 * | none                     | claim; the attempt is SQS's receive count                |
 * | active                   | adopt: the newest receipt handle goes onto the Job       |
 * | ended, settlement owed   | nothing here: the settlement uses the new receipt handle |
 * | settled, succeeded       | discard: it was delivered again after its delete         |
 * | settled, failed or ended | claim, attempt n + 1                                     |
 *
 * A message whose lease is lost is forgotten; SQS brings it back. One whose lease is about to end waits for the
 * heartbeat: a long poll may bring a message later than a short visibility timeout after it was asked for.
 */
export function planDispatch(inbox: readonly InboxMessage[], context: DispatchContext): Action[] {
  const newest = newestClaims(context.claims);
  return inbox.flatMap(
    (message) => dispatchOne(message, newest.get(messageKey(message.queue, message.id)), context) ?? [],
  );
}

/** The claim that counts for each message, by `messageKey`: the one with the highest attempt. */
export function newestClaims(claims: readonly Claim[]): ReadonlyMap<string, Claim> {
  const newest = new Map<string, Claim>();
  for (const claim of claims) {
    const { ledger } = claim;
    for (const { id } of ledger?.messages ?? []) {
      const key = messageKey(ledger?.queue, id);
      const known = newest.get(key);
      if (!known || attemptOf(claim) > attemptOf(known)) newest.set(key, claim);
    }
  }
  return newest;
}

function dispatchOne(
  message: InboxMessage,
  claim: Claim | undefined,
  context: DispatchContext,
): Action | undefined {
  if (message.trustedUntilMs === 0) return { kind: 'forget', message };
  if (claim?.ledger && !claim.settled) return meetUnsettled(message, claim, claim.ledger);
  if (claim?.outcome === 'succeeded') return { kind: 'discard', message };
  const { queue, revision } = context;
  if (!queue) return { kind: 'release', message, delaySeconds: 0, reason: 'BatchQueueGone' };
  if (!revision || !outlivesCreate(message.trustedUntilMs, context.nowMs)) return undefined;
  const attempt = claim ? attemptOf(claim) + 1 : Math.max(1, message.receiveCount);
  if (!fitsPodTemplate(buildMessagesFile([message], attempt))) return tooLarge(message, queue, context.nowMs);
  return { kind: 'claim', message, job: buildJob({ queue, revision, message, attempt }) };
}

function meetUnsettled(message: InboxMessage, claim: Claim, ledger: Ledger): Action | undefined {
  if (claim.outcome !== 'active') return undefined;
  const known = ledger.messages.find(({ id }) => id === message.id);
  // Receive counts only grow, so they order the receipt handles of a message.
  if (known && known.receiveCount >= message.receiveCount) return { kind: 'forget', message };
  const messages = ledger.messages.map((held) =>
    held.id === message.id ? ledgerMessageFrom(message) : held,
  );
  return { kind: 'adopt', message, claim, ledger: { ...ledger, messages } };
}

/** It cannot run, so it goes the way of what keeps failing: back to the queue, and by redrive to the dead-letter queue. */
function tooLarge(message: InboxMessage, queue: BatchQueue, nowMs: number): Action {
  const delaySeconds = clampDelay(queue.spec.retry.maxBackoffSeconds, message.receivedAtMs, nowMs);
  return { kind: 'release', message, delaySeconds, reason: 'PayloadTooLarge' };
}
