import { ANNOTATION_LEDGER, ANNOTATION_RESULT, FINALIZER_SETTLEMENT } from '../api/names.ts';
import { hasCode } from '../errors.ts';
import type { Claim, Fate, Ledger } from '../plan/job-facts.ts';
import { formatLedger, groupOf, withFates } from '../plan/ledger.ts';
import type { QueueRef } from '../plan/message.ts';
import { inOrder } from '../plan/message-group.ts';
import type { Settle } from '../plan/plan.ts';
import { JOBS, PODS } from '../world.ts';
import { giveBack } from './giving-back.ts';
import type { Subject, World } from './interpreter.ts';
import { type Answer, mayGoUnsettled, tellQueue } from './telling-queue.ts';
import { tellUser } from './telling-user.ts';

/**
 * Settles messages of a Job with the queue, then says on the Job what became of them, and with the last of them that
 * nothing is owed any more. In this order: a crash in between repeats the first step, which does no harm, and a crash
 * before it leaves the ledger to tell. What SQS has taken is recorded even when it refused the rest; then this throws.
 */
export async function settle(action: Settle, subject: Subject, world: World): Promise<void> {
  const { claim, queue, verdicts } = action;
  if (queue) {
    await world.heartbeat.withdraw(
      queue,
      verdicts.map(({ message }) => message.id),
    );
    await releaseFollowers(action, subject, world);
  }
  const answers = queue ? await tellQueue(action, queue, world) : [];
  if (queue) noteRights(answers, queue, subject);
  const isUnread = subject.object === undefined;
  const refused = answers.filter((answer) => answer.error && !mayGoUnsettled(action, answer, isUnread));
  const settled = answers.filter((answer) => !answer.error || !refused.includes(answer));
  const isFinal = action.final && refused.length === 0 && !settled.some(({ fate }) => fate === 'held');
  // Also when that cannot be recorded: SQS gives them to whoever asks next.
  for (const { verdict } of settled) subject.session.intake.remove(verdict.message);
  if (isFinal || settled.length > 0) await record({ action, settled, isFinal }, world);
  subject.session.observer.stir();
  countSettled({ action, settled, isFinal }, subject);
  const { name } = claim.job.metadata;
  const fields = { queue: subject.name, job: name, final: isFinal, messages: settled.length };
  world.log.info({ ...fields, reason: action.result?.reason, note: action.note }, 'job settled');
  tellUser(action, { settled, isFinal }, subject, world);
  if (refused[0]?.error) throw refused[0].error;
}

/** A copy that is stored is deleted after that, so that of a refusal only its code tells what was refused. */
function noteRights(answers: readonly Answer[], queue: QueueRef, { session }: Subject): void {
  for (const { verdict, error } of answers) {
    if (verdict.does === 'copy' && !hasCode(error, 'QueueAccessDenied'))
      session.rights.note(queue, 'SendMessage', error);
    else
      session.rights.note(
        queue,
        verdict.does === 'release' || verdict.does === 'reject' ? 'ChangeMessageVisibility' : 'DeleteMessage',
        error,
      );
  }
}

const COUNT_OF_FATE = {
  deleted: 'messagesDeleted',
  released: 'messagesReleased',
  rejected: 'messagesRejected',
} as const;
const COUNT_OF_OUTCOME = { succeeded: 'jobsSucceeded', failed: 'jobsFailed', active: 'jobsDeleted' } as const;

function countSettled({ action, settled, isFinal }: Outcome, { session }: Subject): void {
  for (const { fate, error } of settled) if (fate !== 'held' && !error) session.count(COUNT_OF_FATE[fate]);
  if (isFinal) session.count(COUNT_OF_OUTCOME[action.claim.outcome]);
}

/**
 * FIFO: what was received after a message that goes back goes back before it, because SQS gives out nothing of a group
 * while any of it is held.
 */
async function releaseFollowers({ verdicts }: Settle, { session }: Subject, world: World): Promise<void> {
  const back = verdicts.find(({ does, message }) => does !== 'delete' && message.groupId !== undefined);
  if (!back) return;
  const own = new Set(verdicts.map(({ message }) => message.id));
  const followers = session
    .inbox()
    .filter((message) => groupOf(message) === back.message.groupId && !own.has(message.id));
  await giveBack(inOrder(followers).toReversed(), back.delaySeconds, world);
  for (const message of followers) session.intake.remove(message);
}

interface Outcome {
  readonly action: Settle;
  readonly settled: readonly Answer[];
  readonly isFinal: boolean;
}

/** One write of the Job as it was observed: fates, newest receipt handles, result, finalizer. A Job that is gone is fine. */
async function record({ action, settled, isFinal }: Outcome, world: World): Promise<void> {
  const { claim, result } = action;
  const { name, namespace = '', resourceVersion } = claim.job.metadata;
  const annotations = {
    ...(claim.ledger &&
      settled.length > 0 && {
        [ANNOTATION_LEDGER]: formatLedger(ledgerAfter(claim.ledger, settled, world.clock.now())),
      }),
    ...(result && { [ANNOTATION_RESULT]: JSON.stringify(result) }),
  };
  const body = {
    metadata: {
      resourceVersion,
      ...(isFinal && { '$deleteFromPrimitiveList/finalizers': [FINALIZER_SETTLEMENT] }),
      ...(Object.keys(annotations).length > 0 && { annotations }),
    },
  };
  try {
    const options = { type: 'strategic', answer: 'metadata' } as const;
    const { metadata } = await world.kube.patch(JOBS, namespace, name, body, options);
    // The resourceVersion has vouched for the rest of it.
    world.caches.jobs.put({ ...claim.job, metadata });
  } catch (error) {
    if (!hasCode(error, 'NotFound')) throw error;
    // Or the next plan would settle it again, until the watch tells.
    world.caches.jobs.remove(claim.job);
  }
}

function ledgerAfter(ledger: Ledger, settled: readonly Answer[], nowMs: number): Ledger {
  const fates = new Map<number, Exclude<Fate, 'held'>>();
  for (const { verdict, fate } of settled) if (fate !== 'held') fates.set(verdict.message.index, fate);
  const messages = ledger.messages.map((known, index) => {
    const answer = settled.find(({ verdict }) => verdict.message.index === index);
    if (!answer) return known;
    const { index: _, refusedAtMs: __, ...message } = answer.verdict.message;
    return answer.fate === 'held' ? { ...message, refusedAtMs: nowMs } : message;
  });
  return withFates({ ...ledger, messages }, fates);
}

/** Ends the pods of a Job that is being deleted; Kubernetes itself would only do it once the Job is gone. */
export async function stopPods({ job }: Claim, subject: Subject, world: World): Promise<void> {
  const { items } = await world.kube.list(PODS, podsOf(subject.namespace, [job.metadata.uid ?? '']));
  await Promise.all(
    items
      .filter((pod) => pod.metadata.deletionTimestamp === undefined)
      .map((pod) =>
        world.kube.delete(PODS, subject.namespace, pod.metadata.name, {
          ...(pod.metadata.uid !== undefined && { uid: pod.metadata.uid }),
        }),
      ),
  );
}

/** How to list the pods of these Jobs, one or more. */
export function podsOf(
  namespace: string,
  jobUids: readonly string[],
): { namespace: string; labelSelector: string } {
  return { namespace, labelSelector: `batch.kubernetes.io/controller-uid in (${jobUids.join(',')})` };
}

/** Deletes a settled Job, if it is still the one that was observed. */
export async function deleteJob({ job }: Claim, subject: Subject, world: World): Promise<void> {
  const { name, uid, resourceVersion } = job.metadata;
  await world.kube.delete(JOBS, subject.namespace, name, {
    ...(uid !== undefined && { uid }),
    ...(resourceVersion !== undefined && { resourceVersion }),
    propagationPolicy: 'Background',
  });
  world.caches.jobs.remove(job);
}
