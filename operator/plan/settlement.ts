import { type Backoff, backoffSeconds } from './backoff.ts';
import { needsPods, newestClaims } from './claim.ts';
import type { Claim, HeldMessage, PodsOfJob } from './job-facts.ts';
import { clampDelay } from './lease.ts';
import { isFifo, ledgerMessageFrom, settledThrough } from './ledger.ts';
import type { InboxMessage } from './message.ts';
import { fifoOrder } from './message-group.ts';
import { type DeliveryContext, isStillOwed } from './owed-delete.ts';
import type { Action, Settle, Verdict } from './plan.ts';
import { remember } from './remember.ts';
import { awaitsRerun, countsFor, isSuperseded } from './rerun.ts';
import { type Judged, type Judgement, judgeFailure, judgeIndexes, judgeSuccess } from './worker-verdict.ts';

/** What an ended Job is judged by. */
export interface SettlementContext extends DeliveryContext {
  readonly pods: ReadonlyMap<string, PodsOfJob>;
  readonly deadLetterArn: string | undefined;
}

/**
 * What each unsettled claim still owes the queue: delete after success, release after failure, reject what can never
 * succeed; after its pods have ended when somebody deletes the Job. Nothing here depends on the BatchQueue still being
 * there: without it messages are given back at once. One that was delivered again before its Job was settled is settled
 * by its newest receipt handle.
 */
export function planSettlement(given: SettlementContext): Action[] {
  const newest = newestClaims(given.claims);
  const context = { ...given, newest };
  return context.claims
    .filter((claim) => !claim.settled)
    .flatMap((claim) => {
      if (isSuperseded(claim, newest))
        return settle(claim, NOTHING, { final: true, note: 'superseded', context });
      return awaitsRerun(claim, newest, context) ? [] : (settleOne(claim, context) ?? []);
    });
}

interface Context extends SettlementContext {
  /** The claim that counts for each message. */
  readonly newest: ReadonlyMap<string, Claim>;
}

function settleOne(claim: Claim, context: Context): Action | undefined {
  const { outcome, indexes, job } = claim;
  const pods = context.pods.get(job.metadata.name);
  if (outcome === 'succeeded' && indexes) return settleAll(claim, judgeIndexes(claim, pods, true), context);
  if (outcome === 'active' && !claim.deleting) return settleIndexes(claim, pods, context);
  // Without a list of its pods nothing is known, neither that they have ended nor what they reported. A Job that got
  // here after they were listed has another turn coming: the change that brought it here has asked for it.
  if (!pods || isBehind(claim, pods)) return undefined;
  if (outcome === 'succeeded') return settleAll(claim, judgeSuccess(claim, pods), context);
  if (outcome === 'failed')
    return settleAll(claim, indexes ? judgeIndexes(claim, pods, true) : judgeFailure(claim, pods), context);
  if (pods.running > 0) return { kind: 'stopPods', claim };
  return pods.terminating > 0 ? undefined : settleAll(claim, judgeDeleted(claim, pods), context);
}

/** Pods that were listed before the Job ended do not tell how its last indexes did. */
function isBehind({ outcome, indexes }: Claim, { unfinishedIndexes }: PodsOfJob): boolean {
  return outcome === 'failed' && indexes !== undefined && unfinishedIndexes !== undefined;
}

/** Indexes that have ended while others still run. */
function settleIndexes(claim: Claim, pods: PodsOfJob | undefined, context: Context): Action | undefined {
  const judgement = judgeIndexes(claim, needsPods(claim) ? pods : undefined, false);
  const { judged, result } = ownOf(judgement, claim, context);
  if (judged.length === 0) return undefined;
  return settle(claim, { judged, result }, { final: false, note: undefined, context });
}

/**
 * Somebody deletes the Job, and its pods have ended: what had not been done by then is given back. Of a pod that ended
 * well the Job controller may say nothing more.
 */
function judgeDeleted(claim: Claim, pods: PodsOfJob): Judgement {
  if (!claim.indexes && pods.hasSucceeded) return judgeSuccess(claim, pods);
  const result = { reason: 'JobDeleted', message: 'the Job was deleted' };
  const judged = judgeIndexes(claim, pods, true).judged;
  return { judged, result };
}

/** A message that a Job of a later attempt holds is not given back: it would be received while that one runs it. */
function ownOf({ judged, result }: Judgement, claim: Claim, { newest }: Context): Judgement {
  const own = judged.filter(
    ({ means, message }) => means === 'done' || !claim.ledger || countsFor(message.id, claim, newest),
  );
  return { judged: own, result };
}

function settleAll(claim: Claim, judgement: Judgement, context: Context): Action | undefined {
  if (!claim.ledger) {
    return settle(
      claim,
      { ...NOTHING, result: judgement.result },
      { final: true, note: 'abandoned', context },
    );
  }
  const own = ownOf(judgement, claim, context);
  const action = settle(claim, own, { final: true, note: undefined, context });
  // What waits for its next delivery stays owed; if nothing else is left to say, there is nothing to do now.
  return action.verdicts.length === 0 && !action.final ? undefined : action;
}

const NOTHING: Judgement = { judged: [], result: undefined };

interface SettleOptions extends Pick<Settle, 'final' | 'note'> {
  readonly context: Context;
}

function settle(claim: Claim, judgement: Judgement, { final, note, context }: SettleOptions): Settle {
  const current = judgement.judged.map((judged) => ({
    ...judged,
    message: newestReceipt(claim, judged.message, context),
  }));
  const owed = current.filter(({ message }) => isStillOwed(claim, message, context));
  const told = current.filter(({ message }) => message.refusedAtMs === undefined);
  const verdicts = verdictsOf(claim, told, context);
  return {
    kind: 'settle',
    claim,
    queue: claim.ledger && settledThrough(claim.ledger, context.queue, context.queueArn),
    verdicts,
    final: final && owed.length === 0,
    note,
    deadLetterArn: context.deadLetterArn,
    result: judgement.result,
  };
}

/** On FIFO queues a message after one that is not done goes back with it, and what goes back goes last to first. */
function verdictsOf(claim: Claim, judged: readonly Judged[], context: Context): readonly Verdict[] {
  const { queue, attempt } = claim.ledger ?? {};
  const verdict = (one: Judged): Verdict => verdictOf(one, attempt ?? 1, context);
  if (!queue || !isFifo(queue)) return judged.map(verdict);
  const ordered = judged.toSorted((a, b) => fifoOrder(a.message, b.message));
  const stop = ordered.findIndex(({ means }) => means !== 'done');
  const done = stop < 0 ? ordered : ordered.slice(0, stop);
  const [first, ...followers] = stop < 0 ? [] : ordered.slice(stop);
  const withFirst = followers.toReversed().map((one) => verdict(Object.assign({}, one, { means: 'retry' })));
  return [...done.map(verdict), ...withFirst, ...(first ? [verdict(first)] : [])];
}

function verdictOf(
  { message, means, retryAfterSeconds }: Judged,
  attempt: number,
  context: SettlementContext,
): Verdict {
  if (means === 'done') return { message, does: 'delete', delaySeconds: 0 };
  const { queue, nowMs, deadLetterArn } = context;
  const { retry, deadLetter } = queue?.spec ?? {};
  const until = (seconds: number) => clampDelay(Math.ceil(seconds), message.receivedAtMs, nowMs);
  if (means === 'retry') {
    return {
      message,
      does: 'release',
      delaySeconds: until(retryAfterSeconds ?? delayOf(retry, attempt, message)),
    };
  }
  if (deadLetter?.sendRejected && deadLetterArn !== undefined)
    return { message, does: 'copy', delaySeconds: 0 };
  return { message, does: 'reject', delaySeconds: until(retry?.maxBackoffSeconds ?? 0) };
}

function delayOf(retry: Backoff | undefined, attempt: number, { id, groupId }: HeldMessage): number {
  // The messages of a group come back together, so they wait equally long.
  return retry ? backoffSeconds(retry, attempt, groupId ?? id) : 0;
}

function newestReceipt({ ledger }: Claim, held: HeldMessage, { inbox }: SettlementContext): HeldMessage {
  const again = receivedById(inbox)
    .get(held.id)
    ?.find(({ queue, receiveCount }) => queue.arn === ledger?.queue.arn && receiveCount > held.receiveCount);
  return again ? { ...ledgerMessageFrom(again), index: held.index } : held;
}

/** A burst has thousands of messages in its inbox while Jobs with a hundred each are settled. */
const receivedById = remember((inbox: readonly InboxMessage[]) => Map.groupBy(inbox, ({ id }) => id));
