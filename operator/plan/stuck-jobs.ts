import { ANNOTATION_NEVER_STARTED } from '../api/names.ts';
import { isActive } from './claim.ts';
import type { JobStart } from './job-start.ts';
import type { Action, Claim, Revision } from './types.ts';

/**
 * Jobs whose pods could never start and whose template has been replaced since: each is ended, so that its messages run
 * under the current revision, in the next run of the same attempt. That costs no attempt, because no worker has run.
 *
 * Jobs of the current revision are left alone: kubelet, scheduler and Job controller go on trying by themselves.
 */
export function planStuckJobs(
  claims: readonly Claim[],
  starts: ReadonlyMap<string, JobStart>,
  current: Revision | undefined,
): Action[] {
  if (!current) return [];
  return claims.flatMap((claim): Action[] => {
    const { metadata } = claim.job;
    const isOurs = isActive(claim) && !claim.settled && !claim.deleting && !claim.running;
    if (!isOurs || claim.revision === current.number) return [];
    if (metadata.annotations?.[ANNOTATION_NEVER_STARTED] !== undefined) return [];
    const reason = stuckFor(starts.get(metadata.name));
    return reason === undefined ? [] : [{ kind: 'endStuckJob', claim, reason }];
  });
}

function stuckFor(start: JobStart | undefined): string | undefined {
  if (start?.kind === 'trouble') return start.trouble.reason;
  return start?.kind === 'starting' && start.unexplained ? 'NotStarted' : undefined;
}
