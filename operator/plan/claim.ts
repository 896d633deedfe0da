import { ANNOTATION_RESULT, LABEL_REVISION } from '../api/names.ts';
import type { KubeObject } from '../ports.ts';
import { hasSettlementFinalizer, parseLedger } from './ledger.ts';
import type { Claim, Outcome, WorkerResult } from './types.ts';

/**
 * A claim is a message bound to a Job. Its life:
 *
 *   received ─claim─► active ─Complete─► succeeded ─delete──► settled
 *      │                │  └─Failed───► failed ────release─► settled ─redelivered─► claim, attempt n+1
 *      │                ├─lease lapses─► active ─redelivered, adopt─► active
 *      │                └─Job deleted──► stopping ─release─► settled ─redelivered─► claim, attempt n+1
 *      └─queue gone, or too large─► released (no Job was made)
 *
 * "Settled" is the absence of the finalizer, so every arrow survives a crash: what was not recorded is done again.
 */
export function claimFrom(job: KubeObject): Claim {
  const conditions = conditionsOf(job);
  const failed = conditions.find((condition) => condition.type === 'Failed');
  const status = statusOf(job);
  const outcome = outcomeOf(conditions);
  const deleting = job.metadata.deletionTimestamp !== undefined;
  return {
    job,
    ledger: parseLedger(job),
    revision: Number(job.metadata.labels?.[LABEL_REVISION] ?? 0),
    outcome,
    // A Job that may still run owes its settlement even if somebody took the finalizer from it.
    settled: !hasSettlementFinalizer(job) && (outcome !== 'active' || deleting),
    deleting,
    running: (status.ready ?? 0) > 0,
    startedAtMs: instant(status.startTime ?? job.metadata.creationTimestamp ?? undefined),
    finishedAtMs: instant(status.completionTime ?? failed?.lastTransitionTime),
    failure: failed && { reason: failed.reason ?? 'Failed', message: failed.message ?? '' },
    result: parseResult(job),
  };
}

/** False for a Job that only carries our label: it holds no message, and nothing is owed for it. */
export function isClaim(claim: Claim): boolean {
  return claim.ledger !== undefined || hasSettlementFinalizer(claim.job);
}

/** True while the Job may still run a pod: it takes one of the slots. */
export function isActive(claim: Claim): boolean {
  return claim.outcome === 'active';
}

/**
 * True when a decision needs the Job's pods: a failed Job's result is in its pod's termination message, and a Job that
 * is being deleted may only be settled after its pods have ended.
 */
export function needsPods(claim: Claim): boolean {
  if (claim.settled) return false;
  return claim.outcome === 'failed' || (claim.outcome === 'active' && claim.deleting);
}

/** The attempt a Job stands for; 0 when its ledger is unreadable. */
export function attemptOf(claim: Claim): number {
  return claim.ledger?.attempt ?? 0;
}

interface JobCondition {
  readonly type: string;
  readonly reason?: string;
  readonly message?: string;
  readonly lastTransitionTime?: string;
}

interface JobStatus {
  readonly ready?: number;
  readonly startTime?: string;
  readonly completionTime?: string;
  readonly conditions?: readonly (JobCondition & { readonly status: string })[];
}

function statusOf(job: KubeObject): JobStatus {
  return (job['status'] ?? {}) as JobStatus;
}

/** Only conditions that are true: a condition that stands there as False says nothing. */
function conditionsOf(job: KubeObject): readonly JobCondition[] {
  return (statusOf(job).conditions ?? []).filter((condition) => condition.status === 'True');
}

function outcomeOf(conditions: readonly JobCondition[]): Outcome {
  if (conditions.some((condition) => condition.type === 'Complete')) return 'succeeded';
  return conditions.some((condition) => condition.type === 'Failed') ? 'failed' : 'active';
}

function instant(text: string | undefined): number | undefined {
  const parsed = text === undefined ? Number.NaN : Date.parse(text);
  return Number.isNaN(parsed) ? undefined : parsed;
}

function parseResult(job: KubeObject): WorkerResult | undefined {
  const text = job.metadata.annotations?.[ANNOTATION_RESULT];
  if (text === undefined) return undefined;
  try {
    const value = JSON.parse(text) as Partial<WorkerResult> | null;
    if (typeof value?.reason !== 'string' || typeof value.message !== 'string') return undefined;
    const exitCode = typeof value.exitCode === 'number' ? value.exitCode : undefined;
    return { exitCode, reason: value.reason, message: value.message };
  } catch {
    return undefined;
  }
}
