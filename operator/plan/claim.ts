import { z } from 'zod';
import { ANNOTATION_RESULT, LABEL_REVISION } from '../api/names.ts';
import type { KubeObject } from '../ports.ts';
import { parseIndexes } from './index-list.ts';
import type {
  Claim,
  Fate,
  HeldMessage,
  IndexProgress,
  Ledger,
  Outcome,
  PodsOfJob,
  WorkerResult,
} from './job-facts.ts';
import { fatesOf, hasSettlementFinalizer, messageKey, parseLedger } from './ledger.ts';
import { readJson } from './read-json.ts';
import { remember } from './remember.ts';

/**
 * A claim is one message or several bound to a Job. Its life:
 *
 *   received ─claim─► active ─Complete─► succeeded ─delete──────────► settled
 *      │                │  └─Failed───► failed ──by its worker's word─► settled: deleted, rejected, or
 *      │                │                 │                              released ─redelivered─► claim, attempt n+1
 *      │                │                 └─infrastructure fault─► rerun: next run of the same attempt, this one settled
 *      │                ├─an index ends─► active, that message settled (Indexed Jobs)
 *      │                ├─lease lapses──► active ─redelivered, adopt─► active
 *      │                └─Job deleted───► stopping ─release─► settled ─redelivered─► claim, attempt n+1
 *      └─queue gone, or too large─► released (no Job was made)
 *
 * "Settled" is the absence of the finalizer, or an index in one of the ledger's lists; so every arrow survives a crash:
 * what was not recorded is done again.
 */
export const claimFrom: (job: KubeObject) => Claim = remember(readClaim);

function readClaim(job: KubeObject): Claim {
  const { metadata } = job;
  const status = statusOf(job);
  const outcome = outcomeOf(status);
  const failed = trueCondition(status, 'Failed');
  const deleting = metadata.deletionTimestamp !== undefined;
  const ledger = parseLedger(job);
  // A Job that may still run owes its settlement even if somebody took the finalizer from it.
  const settled = !hasSettlementFinalizer(job) && (outcome !== 'active' || deleting);
  return {
    job,
    ledger,
    revision: Number(metadata.labels?.[LABEL_REVISION] ?? 0),
    outcome,
    settled,
    held: settled || !ledger ? [] : heldBy(ledger),
    indexes: progressOf(job, status, ledger),
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
 * True when a decision cannot be made without the Job's pods: a failed Job's (or index's) result is in its pod's
 * termination message, and a Job that is being deleted may only be settled after its pods have ended.
 */
export function needsPods(claim: Claim): boolean {
  if (claim.settled) return false;
  if (claim.outcome === 'active') return claim.deleting || failedHeld(claim).length > 0;
  return claim.outcome === 'failed';
}

/** True when the pods may have a say: exit code 0 with a result file that contradicts it deletes nothing. */
export function wantsPods(claim: Claim): boolean {
  return needsPods(claim) || (!claim.settled && claim.outcome === 'succeeded' && !claim.indexes);
}

/** True when these pods have all ended and told how: nothing that a list could add would change a decision. */
export function isConclusive(
  claim: Claim,
  { running, terminating, result, resultOfIndex }: PodsOfJob,
): boolean {
  if (claim.deleting || running + terminating > 0) return false;
  if (!claim.indexes) return result !== undefined;
  return failedHeld(claim).every(({ index }) => resultOfIndex.has(index));
}

/** Messages of an Indexed Job whose index has failed and that are not settled yet. */
function failedHeld({ held, indexes }: Claim): readonly HeldMessage[] {
  return held.filter(({ index }) => indexes?.failed.has(index));
}

/** What became of a message of this claim; undefined when it never was in it. */
export function fateIn(claim: Claim, messageId: string): Fate | undefined {
  const { ledger, settled, outcome } = claim;
  const index = ledger?.messages.findIndex(({ id }) => id === messageId) ?? -1;
  if (!ledger || index < 0) return undefined;
  const fate = fatesOf(ledger)[index];
  if (fate !== 'held' || !settled) return fate;
  // Not in any list: a delete that is owed no more, or somebody took the finalizer by hand.
  const isDone = outcome === 'succeeded' || ledger.messages[index]?.refusedAtMs !== undefined;
  return isDone ? 'deleted' : 'released';
}

/**
 * The claim that counts for each message, by `messageKey`: the one with the highest attempt, and of that the newest run.
 */
export const newestClaims: (claims: readonly Claim[]) => ReadonlyMap<string, Claim> = remember(findNewest);

function findNewest(claims: readonly Claim[]): ReadonlyMap<string, Claim> {
  const newest = new Map<string, Claim>();
  for (const claim of claims) {
    for (const key of keysOf(claim)) {
      const known = newest.get(key);
      if (!known || isNewer(claim, known)) newest.set(key, claim);
    }
  }
  return newest;
}

/** The messages of a claim, by `messageKey`. */
const keysOf = remember(({ ledger }: Claim) => {
  return (ledger?.messages ?? []).map(({ id }) => messageKey(ledger?.queue, id));
});

function isNewer(a: Claim, b: Claim): boolean {
  return attemptOf(a) - attemptOf(b) > 0 || (attemptOf(a) === attemptOf(b) && runOf(a) > runOf(b));
}

/** Which run of its attempt a Job is, from 1. */
export function runOf(claim: Claim): number {
  return claim.ledger?.run ?? 1;
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
  completedIndexes: z.string().default(''),
  failedIndexes: z.string().default(''),
  conditions: z.array(conditionSchema).default([]),
});

type JobStatus = z.output<typeof statusSchema>;

const resultSchema: z.ZodType<WorkerResult> = z.object({
  exitCode: z.number().optional(),
  reason: z.string(),
  message: z.string(),
});

const readableStatusSchema = statusSchema.catch(statusSchema.parse({}));

function statusOf(job: KubeObject): JobStatus {
  return readableStatusSchema.parse(job['status'] ?? {});
}

const specSchema = z.object({ completionMode: z.string().optional() });

/** True for a Job in which every message is an index of its own. */
function isIndexed(job: KubeObject): boolean {
  return specSchema.safeParse(job['spec']).data?.completionMode === 'Indexed';
}

function progressOf(
  job: KubeObject,
  status: JobStatus,
  ledger: Ledger | undefined,
): IndexProgress | undefined {
  if (!ledger || !isIndexed(job)) return undefined;
  const size = ledger.messages.length;
  return {
    completed: parseIndexes(status.completedIndexes, size) ?? new Set(),
    failed: parseIndexes(status.failedIndexes, size) ?? new Set(),
  };
}

function heldBy(ledger: Ledger): readonly HeldMessage[] {
  const fates = fatesOf(ledger);
  return ledger.messages.flatMap((message, index) =>
    fates[index] === 'held' ? [{ ...message, index }] : [],
  );
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
