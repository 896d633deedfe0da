import { ANNOTATION_NEVER_STARTED } from '../api/names.ts';
import { isActive } from './claim.ts';
import type { Claim } from './job-facts.ts';
import type { JobStart } from './job-start.ts';
import type { Action } from './plan.ts';
import type { Revision } from './revision-facts.ts';

/** The shortest deadline that Kubernetes takes: a Job that does not start is older than that by far. */
export const AT_ONCE_SECONDS = 1;

/**
 * What Jobs that do not start need, so that it costs their messages no attempt:
 *
 * - One whose template has been replaced since is ended, and its messages run under the current revision in the next run.
 * - One of the current revision is left alone: kubelet, scheduler and Job controller go on trying by themselves. If it has
 *   a deadline of the user's, it is marked, because after that deadline nobody could tell any more that it never ran; and
 *   unmarked when it starts.
 */
export function planStuckJobs(
  claims: readonly Claim[],
  starts: ReadonlyMap<string, JobStart>,
  current: Revision | undefined,
): Action[] {
  return claims
    .filter((claim) => isActive(claim) && !claim.settled && !claim.deleting && !isBeingEnded(claim))
    .flatMap((claim) => planOne(claim, starts.get(claim.job.metadata.name), current) ?? []);
}

function planOne(
  claim: Claim,
  start: JobStart | undefined,
  current: Revision | undefined,
): Action | undefined {
  if (claim.running || start?.kind === 'started') {
    return isMarked(claim) ? { kind: 'markNeverStarted', claim, reason: undefined } : undefined;
  }
  const reason = stuckFor(start);
  if (reason === undefined) return undefined;
  if (current && claim.revision !== current.number) return { kind: 'endStuckJob', claim, reason };
  if (deadlineOf(claim) === undefined || isMarked(claim)) return undefined;
  return { kind: 'markNeverStarted', claim, reason };
}

function isMarked({ job }: Claim): boolean {
  return job.metadata.annotations?.[ANNOTATION_NEVER_STARTED] !== undefined;
}

function isBeingEnded(claim: Claim): boolean {
  return isMarked(claim) && deadlineOf(claim) === AT_ONCE_SECONDS;
}

function deadlineOf({ job }: Claim): unknown {
  return Object(job['spec'])['activeDeadlineSeconds'];
}

function stuckFor(start: JobStart | undefined): string | undefined {
  if (start?.kind === 'trouble') return start.trouble.reason;
  return start?.kind === 'starting' && start.unexplained ? 'NotStarted' : undefined;
}
