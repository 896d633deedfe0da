import { ANNOTATION_NEVER_STARTED } from '../api/names.ts';
import { hasCode } from '../errors.ts';
import type { Action } from '../plan/plan.ts';
import { AT_ONCE_SECONDS } from '../plan/stuck-jobs.ts';
import type { KubeObject } from '../ports.ts';
import { JOBS } from '../world.ts';
import { type Subject, tell, type World } from './interpreter.ts';

/**
 * Ends a Job whose pods could never start: its deadline passes, the Job controller ends its pods, and it fails. The
 * annotation goes with the same write, so that whoever settles it, after any crash, knows that no worker was to blame.
 */
export async function endStuckJob(
  { claim: { job }, reason }: Extract<Action, { kind: 'endStuckJob' }>,
  subject: Subject,
  world: World,
): Promise<void> {
  const { name } = job.metadata;
  if (!(await mark(job, { reason, spec: { activeDeadlineSeconds: AT_ONCE_SECONDS } }, world))) return;
  world.log.info({ queue: subject.name, job: name, reason }, 'job that never started is ended for a new run');
  tell(subject, world, {
    reason: 'JobReplaced',
    note: `Job ${name} never started (${reason}); its messages run again under the current revision.`,
  });
}

/** Notes on a Job that no worker of it has started so far; `reason` undefined: one has, it counts like any other. */
export async function markNeverStarted(
  { claim: { job }, reason }: Extract<Action, { kind: 'markNeverStarted' }>,
  world: World,
): Promise<void> {
  await mark(job, { reason }, world);
}

/**
 * Only on the Job as it was observed: one whose pod has started in the meantime has changed, and is looked at again.
 * False when it is gone.
 */
async function mark(
  job: KubeObject,
  { reason, spec }: { readonly reason: string | undefined; readonly spec?: object },
  world: World,
): Promise<boolean> {
  const { name, namespace = '', resourceVersion } = job.metadata;
  const annotations = { [ANNOTATION_NEVER_STARTED]: reason ?? null };
  const body = { metadata: { resourceVersion, annotations }, ...(spec && { spec }) };
  try {
    world.caches.jobs.put(await world.kube.patch(JOBS, namespace, name, body, { type: 'merge' }));
    return true;
  } catch (error) {
    if (!hasCode(error, 'NotFound')) throw error;
    world.caches.jobs.remove(job);
    return false;
  }
}
