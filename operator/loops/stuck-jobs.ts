import { ANNOTATION_NEVER_STARTED } from '../api/names.ts';
import { hasCode } from '../errors.ts';
import type { Action } from '../plan/types.ts';
import { JOBS } from '../world.ts';
import { type Subject, tell, type World } from './interpreter.ts';

/** The shortest deadline that Kubernetes takes; the Job is older than that by far. */
const AT_ONCE_SECONDS = 1;

/**
 * Ends a Job whose pods could never start: its deadline passes, the Job controller ends its pods, and it fails. The
 * annotation goes with the same write, so that whoever settles it, after any crash, knows that no worker was to blame.
 * Only on the Job as it was observed: one whose pod has started in the meantime has changed, and goes on.
 */
export async function endStuckJob(
  { claim: { job }, reason }: Extract<Action, { kind: 'endStuckJob' }>,
  subject: Subject,
  world: World,
): Promise<void> {
  const { name, namespace = '', resourceVersion } = job.metadata;
  const body = {
    metadata: { resourceVersion, annotations: { [ANNOTATION_NEVER_STARTED]: reason } },
    spec: { activeDeadlineSeconds: AT_ONCE_SECONDS },
  };
  try {
    world.caches.jobs.put(await world.kube.patch(JOBS, namespace, name, body, { type: 'merge' }));
  } catch (error) {
    if (!hasCode(error, 'NotFound')) throw error;
    world.caches.jobs.remove(job);
    return;
  }
  world.log.info({ queue: subject.name, job: name, reason }, 'job that never started is ended for a new run');
  tell(subject, world, {
    reason: 'JobReplaced',
    note: `Job ${name} never started (${reason}); its messages run again under the current revision.`,
  });
}
