import { z } from 'zod';
import { ANNOTATION_RESULT, LABEL_REVISION } from '../api/names.ts';
import type { KubeObject } from '../ports.ts';
import { hasSettlementFinalizer, parseLedger } from './ledger.ts';
import { readJson } from './read-json.ts';
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
  const { metadata } = job;
  const status = statusOf(job);
  const outcome = outcomeOf(status);
  const failed = trueCondition(status, 'Failed');
  const deleting = metadata.deletionTimestamp !== undefined;
  return {
    job,
    ledger: parseLedger(job),
    revision: Number(metadata.labels?.[LABEL_REVISION] ?? 0),
    outcome,
    // A Job that may still run owes its settlement even if somebody took the finalizer from it.
    settled: !hasSettlementFinalizer(job) && (outcome !== 'active' || deleting),
    deleting,
    running: status.ready > 0,
    startedAtMs: instant(status.startTime) ?? instant(metadata.creationTimestamp),
    finishedAtMs: instant(status.completionTime) ?? instant(failed?.lastTransitionTime),
    failure: failed && { reason: failed.reason, message: failed.message },
    result: readJson(metadata.annotations?.[ANNOTATION_RESULT], resultSchema),
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

/**
 * For sorting: the Job that ended last comes first. Kubernetes counts in seconds, so names decide among those that ended
 * together: every listing of the same Jobs sorts the same.
 */
export function byNewestEnd(a: Claim, b: Claim): number {
  const difference = (b.finishedAtMs ?? 0) - (a.finishedAtMs ?? 0);
  return difference || (a.job.metadata.name < b.job.metadata.name ? -1 : 1);
}

const conditionSchema = z.object({
  type: z.string(),
  status: z.string(),
  reason: z.string().default(''),
  message: z.string().default(''),
  lastTransitionTime: z.string().optional(),
});

const statusSchema = z.object({
  ready: z.number().default(0),
  startTime: z.string().optional(),
  completionTime: z.string().optional(),
  conditions: z.array(conditionSchema).default([]),
});

type JobStatus = z.output<typeof statusSchema>;

const resultSchema: z.ZodType<WorkerResult> = z.object({
  exitCode: z.number().optional(),
  reason: z.string(),
  message: z.string(),
});

function statusOf(job: KubeObject): JobStatus {
  return statusSchema.catch(statusSchema.parse({})).parse(job['status'] ?? {});
}

/** A condition counts only while it is true: one that stands there as False says nothing. */
function trueCondition({ conditions }: JobStatus, type: string) {
  return conditions.find((condition) => condition.type === type && condition.status === 'True');
}

function outcomeOf(status: JobStatus): Outcome {
  if (trueCondition(status, 'Complete')) return 'succeeded';
  return trueCondition(status, 'Failed') ? 'failed' : 'active';
}

function instant(text: string | null | undefined): number | undefined {
  const parsed = Date.parse(text ?? '');
  return Number.isNaN(parsed) ? undefined : parsed;
}
