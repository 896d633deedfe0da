import type { BatchQueue } from '../api/batch-queue.ts';
import { newestClaims } from './claim.ts';
import { buildRerun } from './claim-action.ts';
import { earliest } from './earliest.ts';
import { isInfrastructureFault, MAX_RUNS, rerunDelayMs } from './infrastructure-fault.ts';
import type { Claim, PodsOfJob } from './job-facts.ts';
import { isRecentList } from './lease.ts';
import { messageKey } from './ledger.ts';
import type { InboxMessage } from './message.ts';
import { payloadOf } from './payload.ts';
import type { RerunAction } from './plan.ts';
import type { Revision } from './revision-facts.ts';

/** What reruns are decided by. */
export interface RerunContext {
  readonly nowMs: number;
  /** Undefined when the BatchQueue is gone, or cannot be read. */
  readonly queue: BatchQueue | undefined;
  /** Undefined while no revision may be run: then the messages wait under their lease. */
  readonly revision: Revision | undefined;
  readonly pods: ReadonlyMap<string, PodsOfJob>;
  readonly inbox: readonly InboxMessage[];
  /** When the last consistent list of the queue's Jobs began, epoch ms. */
  readonly jobsListedAtMs: number;
}

/** The next runs that are due, and when the next one will be (epoch ms; undefined: none waits). */
export interface Reruns {
  readonly actions: readonly RerunAction[];
  readonly nextAtMs: number | undefined;
  /** One is due, and waits for a list of the queue's Jobs. */
  readonly needsList: boolean;
}

/**
 * Starts the next run of every attempt that an infrastructure fault has ended, with growing distance. Only right after a
 * list of the Jobs: an operator that was asleep would take a run for the newest whose message another one has received
 * since, and runs under a name that this run's does not collide with.
 */
export function planReruns(claims: readonly Claim[], context: RerunContext): Reruns {
  const { nowMs, queue, revision, inbox } = context;
  const newest = newestClaims(claims);
  const waiting = claims
    .filter((claim) => awaitsRerun(claim, newest, context))
    .map((claim) => {
      // Under another revision the fault need not come again: at once.
      const delayMs = claim.revision === revision?.number ? rerunDelayMs(claim.ledger?.run ?? 1) : 0;
      return { claim, atMs: (claim.finishedAtMs ?? 0) + delayMs };
    });
  const nextAtMs = earliest(waiting.filter(({ atMs }) => atMs > nowMs).map(({ atMs }) => atMs));
  const due = waiting.filter(({ atMs }) => atMs <= nowMs);
  if (!queue || !revision || due.length === 0) return { actions: [], nextAtMs, needsList: false };
  if (!isRecentList(context.jobsListedAtMs, nowMs)) return { actions: [], nextAtMs, needsList: true };
  const actions = due.flatMap(({ claim }) => buildRerun({ queue, revision, claim, inbox }) ?? []);
  return { actions, nextAtMs, needsList: false };
}

/**
 * True while the messages of a failed Job wait for its next run: an infrastructure fault gives nothing back. Not once
 * some of them are settled or have a newer Job, nor when somebody deletes the Job or its BatchQueue.
 */
export function awaitsRerun(
  claim: Claim,
  newest: ReadonlyMap<string, Claim>,
  { pods, queue }: Pick<RerunContext, 'pods' | 'queue'>,
): boolean {
  const podsOfJob = pods.get(claim.job.metadata.name);
  if (!podsOfJob || !queue || claim.settled || claim.deleting) return false;
  return countsForAll(claim, newest) && mayRunAgain(claim) && isInfrastructureFault(claim, podsOfJob);
}

/** As a whole: none of its messages is settled or done, and what they were can still be read. */
function mayRunAgain({ ledger, held, indexes, job }: Claim): boolean {
  if (!ledger || ledger.run >= MAX_RUNS || held.length < ledger.messages.length) return false;
  return (indexes?.completed.size ?? 0) === 0 && payloadOf(job) !== undefined;
}

/** False when one of its messages was delivered twice, and has a Job of a later attempt: as a whole it would run beside that. */
function countsForAll(claim: Claim, newest: ReadonlyMap<string, Claim>): boolean {
  return claim.held.every(({ id }) => countsFor(id, claim, newest));
}

/** True when no later run (or attempt) holds this message of the claim. */
export function countsFor(messageId: string, claim: Claim, newest: ReadonlyMap<string, Claim>): boolean {
  return newest.get(messageKey(claim.ledger?.queue, messageId)) === claim;
}

/** True when a later run (or attempt) holds everything that an ended Job held: then it owes nothing itself. */
export function isSuperseded(claim: Claim, newest: ReadonlyMap<string, Claim>): boolean {
  const { ledger, held, outcome } = claim;
  if (!ledger || outcome !== 'failed' || held.length === 0) return false;
  return !held.some(({ id }) => countsFor(id, claim, newest));
}
