import { ANNOTATION_RESULT, FINALIZER_SETTLEMENT } from '../api/names.ts';
import { hasCode, messageOf, OperatorError } from '../errors.ts';
import type { Claim, QueueRef, Settle } from '../plan/types.ts';
import { JOBS, PODS } from '../world.ts';
import { assertSettled, type Happening, type Subject, tell, type World } from './interpreter.ts';

/**
 * Settles a Job's messages with the queue, then says on the Job that nothing is owed any more. In this order: a crash
 * in between repeats the first step, which does no harm, and a crash before it leaves the finalizer to tell.
 */
export async function settle(action: Settle, subject: Subject, world: World): Promise<void> {
  const { claim, messages, verdict } = action;
  const queue = claim.ledger?.queue;
  const isDone = queue ? await settleWithQueue(action, queue, world) : true;
  await discharge(action, world);
  for (const message of messages) subject.session.intake.remove(message);
  subject.session.observer.stir();
  const { name } = claim.job.metadata;
  world.log.info({ queue: subject.name, job: name, verdict, reason: action.result?.reason }, 'job settled');
  tell(subject, world, isDone ? happening(action) : unsettled(name));
}

/** False when the queue could not be told, and the Job may go without (see `mayGoUnsettled`). */
async function settleWithQueue(action: Settle, queue: QueueRef, world: World): Promise<boolean> {
  const { messages, verdict, delaySeconds, claim } = action;
  const ids = messages.map(({ id }) => id);
  await world.heartbeat.withdraw(queue, ids);
  try {
    assertSettled(
      verdict === 'delete'
        ? await world.queue.delete(queue, messages)
        : await world.queue.changeVisibility(queue, messages, delaySeconds),
    );
    return true;
  } catch (error) {
    if (!mayGoUnsettled(action, error)) throw error;
    world.log.warn(
      { job: claim.job.metadata.name, error: messageOf(error) },
      'job discharged without settlement',
    );
    return false;
  }
}

/**
 * Nothing may hang for a queue that cannot be reached any more. A queue that does not exist is owed nothing. A Job that
 * is being deleted waits for no release, because the timeout gives the message back as well; and for a delete only as
 * long as that may still work, because without it the message runs again.
 */
function mayGoUnsettled({ claim, verdict }: Settle, error: unknown): boolean {
  if (hasCode(error, 'QueueNotFound')) return true;
  const isTerminal = error instanceof OperatorError && error.verdict === 'terminal';
  return claim.deleting && (verdict === 'release' || isTerminal);
}

/** Drops the finalizer and records the result in one write, on the Job as it was observed. A Job that is gone is fine. */
async function discharge({ claim, result }: Settle, world: World): Promise<void> {
  const { name, namespace = '', resourceVersion, finalizers = [] } = claim.job.metadata;
  const body = {
    metadata: {
      resourceVersion,
      finalizers: finalizers.filter((finalizer) => finalizer !== FINALIZER_SETTLEMENT),
      ...(result && { annotations: { [ANNOTATION_RESULT]: JSON.stringify(result) } }),
    },
  };
  try {
    world.caches.jobs.put(await world.kube.patch(JOBS, namespace, name, body, { type: 'merge' }));
  } catch (error) {
    if (!hasCode(error, 'NotFound')) throw error;
    // Or the next plan would settle it again, until the watch tells.
    world.caches.jobs.remove(claim.job);
  }
}

function happening({ claim, verdict, messages, delaySeconds, result }: Settle): Happening {
  const { name } = claim.job.metadata;
  const ids = messages.map(({ id }) => id).join(', ');
  if (verdict === 'delete')
    return { reason: 'JobSucceeded', note: `Job ${name} succeeded; message ${ids} was deleted.` };
  if (verdict === 'abandon') {
    const note = `Job ${name} has no readable ledger; its message returns when its visibility timeout ends.`;
    return { type: 'Warning', reason: 'LedgerUnreadable', note };
  }
  const why = [result?.reason, result?.message].filter(Boolean).join(': ');
  const reason = claim.outcome === 'failed' ? 'JobFailed' : 'JobDeleted';
  return {
    type: 'Warning',
    reason,
    note: `Job ${name}: ${why}. Message ${ids} is visible again in ${delaySeconds} s.`,
  };
}

function unsettled(name: string): Happening {
  const note = `Job ${name} goes, but SQS did not settle its message; it returns when its visibility timeout ends.`;
  return { type: 'Warning', reason: 'SettlementRefused', note };
}

/** Ends the pods of a Job that is being deleted; Kubernetes itself would only do it once the Job is gone. */
export async function stopPods({ job }: Claim, subject: Subject, world: World): Promise<void> {
  const { items } = await world.kube.list(PODS, podsOf(subject.namespace, job.metadata.uid ?? ''));
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

/** How to list the pods of one Job. */
export function podsOf(namespace: string, jobUid: string): { namespace: string; labelSelector: string } {
  return { namespace, labelSelector: `batch.kubernetes.io/controller-uid=${jobUid}` };
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
