import { ANNOTATION_NEVER_STARTED } from '../api/names.ts';
import type { Claim, PodsOfJob, WorkerResult } from './job-facts.ts';

/**
 * Faults of the cluster, not of the message: they cost a run and not an attempt. A disruption (node drained, spot
 * reclaimed) does not even get here, because the Job controller replaces the pod within the same Job.
 */

/** Why the kubelet or a controller ended a pod that its worker did not end, as `status.reason` of the pod says. */
const POD_REASONS = new Set([
  'Evicted',
  'NodeAffinity',
  'NodeLost',
  'NodeShutdown',
  'OutOfcpu',
  'OutOfmemory',
  'OutOfpods',
  'Preempting',
  'Shutdown',
  'Terminated',
  'UnexpectedAdmissionError',
]);

/** Most runs of one attempt; after that the message is given back like any that failed. The name has room for two digits. */
export const MAX_RUNS = 99;
const MIN_DELAY_MS = 10_000;
const MAX_DELAY_MS = 300_000;

/** True when a failed Job says nothing about its messages: its worker has never run, or was taken away from outside. */
export function isInfrastructureFault({ job, outcome, failure }: Claim, pods: PodsOfJob): boolean {
  if (outcome !== 'failed' || failure?.reason === 'PodFailurePolicy') return false;
  // A worker may have started, and failed, since the Job was marked.
  const hasRun = pods.result?.exitCode !== undefined && !pods.neverStarted;
  if (job.metadata.annotations?.[ANNOTATION_NEVER_STARTED] !== undefined) return !hasRun;
  // The user set this limit, and a pod that was ended by it is gone: whether it ran cannot be told any more.
  if (failure?.reason === 'DeadlineExceeded') return false;
  return pods.neverStarted || wasTakenAway(pods.result);
}

/** True for a pod that its node or a controller ended, or never took, and whose worker says nothing. */
export function wasTakenAway(result: WorkerResult | undefined): boolean {
  return result !== undefined && result.exitCode === undefined && POD_REASONS.has(result.reason);
}

/** How long after a run ended the next one starts, in milliseconds: 10 s, doubled with every run, at most 5 minutes. */
export function rerunDelayMs(run: number): number {
  return Math.min(MAX_DELAY_MS, MIN_DELAY_MS * 2 ** Math.min(run - 1, 10));
}
