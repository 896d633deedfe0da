import type { Backoff } from './backoff.ts';
import { backoffSeconds } from './backoff.ts';
import { needsPods } from './claim.ts';
import { clampDelay } from './lease.ts';
import { ledgerMessageFrom } from './ledger.ts';
import type { Action, Claim, InboxMessage, LedgerMessage, PodsOfJob, WorkerResult } from './types.ts';
import { resultFromFailure } from './worker-result.ts';

/** The Job controller's reason for a Job that outlasted `activeDeadlineSeconds`. */
const DEADLINE_EXCEEDED = 'DeadlineExceeded';

/** What an ended Job is judged by. */
export interface SettlementContext {
  readonly nowMs: number;
  /** Undefined when the BatchQueue is gone: then messages are given back at once. */
  readonly retry: Backoff | undefined;
  readonly pods: ReadonlyMap<string, PodsOfJob>;
  /** A message may have been delivered again before its Job was settled; the newest receipt handle settles it. */
  readonly inbox: readonly InboxMessage[];
}

/**
 * What each unsettled claim still owes the queue: delete after success, release after failure, release after its pods
 * have ended when somebody deletes the Job. Nothing here depends on the BatchQueue still being there.
 */
export function planSettlement(claims: readonly Claim[], context: SettlementContext): Action[] {
  return claims.filter((claim) => !claim.settled).flatMap((claim) => settleOne(claim, context) ?? []);
}

function settleOne(claim: Claim, context: SettlementContext): Action | undefined {
  if (claim.outcome === 'succeeded') return settle(claim, 'delete', context);
  if (!needsPods(claim)) return undefined;
  const pods = context.pods.get(claim.job.metadata.name);
  // Without a list of its pods nothing is known, neither that they have ended nor what they reported. A Job that got
  // here after they were listed has another turn coming: the change that brought it here has asked for it.
  if (!pods) return undefined;
  if (claim.outcome === 'failed') return settle(claim, 'release', context);
  if (pods.running > 0) return { kind: 'stopPods', claim };
  return pods.terminating > 0 ? undefined : settle(claim, 'release', context);
}

function settle(claim: Claim, verdict: 'delete' | 'release', context: SettlementContext): Action {
  const { ledger } = claim;
  const result = verdict === 'delete' ? undefined : resultOf(claim, context);
  if (!ledger) return { kind: 'settle', claim, verdict: 'abandon', messages: [], delaySeconds: 0, result };
  const again = context.inbox.filter(({ queue }) => queue.arn === ledger.queue.arn);
  const messages = ledger.messages.map((held) => newestReceipt(held, again));
  const delaySeconds = verdict === 'delete' ? 0 : releaseDelay(messages, ledger.attempt, context);
  return { kind: 'settle', claim, verdict, messages, delaySeconds, result };
}

function resultOf(claim: Claim, context: SettlementContext): WorkerResult {
  if (claim.outcome === 'active') return { reason: 'JobDeleted', message: 'the Job was deleted' };
  const reported = context.pods.get(claim.job.metadata.name)?.result;
  // A worker that was ended by its deadline reports how it was ended, not why.
  if (reported && claim.failure?.reason !== DEADLINE_EXCEEDED) return reported;
  const known = resultFromFailure(claim.failure);
  return { ...known, exitCode: reported?.exitCode ?? known.exitCode };
}

function newestReceipt(held: LedgerMessage, inbox: readonly InboxMessage[]): LedgerMessage {
  const again = inbox.find(({ id, receiveCount }) => id === held.id && receiveCount > held.receiveCount);
  return again ? ledgerMessageFrom(again) : held;
}

function releaseDelay(
  messages: readonly LedgerMessage[],
  attempt: number,
  context: SettlementContext,
): number {
  const { retry, nowMs } = context;
  if (!retry) return 0;
  const delays = messages.map((message) =>
    clampDelay(backoffSeconds(retry, attempt, message.id), message.receivedAtMs, nowMs),
  );
  return Math.min(...delays);
}
