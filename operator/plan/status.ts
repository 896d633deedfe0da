import type { BatchQueue, BatchQueueStatus } from '../api/batch-queue.ts';
import { parseImageReference } from '../api/image-reference.ts';
import { isSameJson } from '../api/json.ts';
import {
  type LastFailure,
  MAX_FAILURE_MESSAGE_IDS,
  MAX_FAILURE_MESSAGE_LENGTH,
  MAX_RECENT_RUNS,
  type RecentRun,
} from '../api/status.ts';
import { blockedGroups } from './blocked-groups.ts';
import { byNewestEnd, isActive, runOf } from './claim.ts';
import { conditionsFrom, type GateVerdicts, planConditions } from './conditions.ts';
import { isoSeconds } from './iso-time.ts';
import { contractContainer } from './job.ts';
import type { Claim } from './job-facts.ts';
import { remember } from './remember.ts';
import { digestIn, resolvedImagesOf } from './resolved-images.ts';
import { latestRevision } from './revision.ts';
import type { Revision } from './revision-facts.ts';
import type { Snapshot } from './snapshot.ts';

/** What is known of a BatchQueue before it passes validation: enough to write its status. */
export interface StatusSubject {
  readonly generation: number;
  readonly previous: BatchQueueStatus;
}

/**
 * The status of a BatchQueue, recomputed from the world. What the world has forgotten (Jobs beyond the history limits)
 * is taken from the previous status.
 */
export function planStatus(
  snapshot: Snapshot,
  subject: StatusSubject,
  revision: Revision | undefined,
  gate?: GateVerdicts,
): BatchQueueStatus {
  const { generation, previous } = subject;
  return withoutUndefined({
    observedGeneration: generation,
    conditions: conditionsFrom(
      planConditions(snapshot, gate),
      previous.conditions ?? [],
      generation,
      snapshot.nowMs,
    ),
    queue: queueStatus(snapshot, previous.queue),
    jobs: jobsStatus(snapshot.claims),
    revision: revisionStatus(snapshot, revision, previous.revision),
    lastSuccessTime: lastSuccessTime(snapshot.claims, previous.lastSuccessTime),
    lastFailure: lastFailure(snapshot.claims, previous.lastFailure),
    blockedGroups: blockedGroups(snapshot),
    recentRuns: recentRuns(snapshot.claims, previous.recentRuns ?? []),
  });
}

type RevisionStatus = NonNullable<BatchQueueStatus['revision']>;

function revisionStatus(
  { queue, revisions }: Snapshot,
  revision: Revision | undefined,
  previous: RevisionStatus | undefined,
): RevisionStatus | undefined {
  if (!revision) return previous;
  const pinned = queue?.spec.revision;
  const latest = queue && pinned !== undefined ? latestRevision(queue, revisions) : undefined;
  return withoutUndefined({
    current: revision.number,
    pinned,
    latest: latest === revision ? undefined : latest?.number,
    ...imageStatus(revision),
  });
}

const imageStatus = remember((revision: Revision): Pick<RevisionStatus, 'image' | 'imageDigest'> => {
  const { image = '' } = contractContainer(revision.template.jobTemplate);
  const digest = digestIn(resolvedImagesOf(revision), image) ?? parseImageReference(image)?.digest;
  return withoutUndefined({
    image: image === '' ? undefined : image.slice(0, 1024),
    imageDigest: digest?.slice(0, 256),
  });
});

type QueueStatus = NonNullable<BatchQueueStatus['queue']>;

function queueStatus(
  { observation, queue }: Snapshot,
  previous: QueueStatus | undefined,
): QueueStatus | undefined {
  if (observation.kind !== 'reachable') return isAbout(previous, queue) ? previous : undefined;
  const { attributes, deadLetter } = observation;
  const { arn, visible, inFlight, delayed, deadLetterArn, maxReceiveCount } = attributes;
  const figures = withoutUndefined({
    arn,
    visible,
    inFlight,
    delayed,
    deadLetterArn,
    deadLetter: deadLetter?.kind === 'seen' ? deadLetter.visible : undefined,
    maxReceiveCount,
  });
  // The time moves only together with a figure: an idle queue writes nothing.
  const { observedTime, ...before } = previous ?? {};
  const moved = observedTime === undefined || !isSameJson(figures, before);
  return { ...figures, observedTime: moved ? isoSeconds(observation.observedAtMs) : observedTime };
}

/** False for figures of the queue that `queue.url` named before it was edited. */
function isAbout(figures: QueueStatus | undefined, queue: BatchQueue | undefined): boolean {
  const place = queue?.spec.queue.url.split('/').slice(-2).join(':');
  return place !== undefined && figures?.arn?.endsWith(`:${place}`) === true;
}

function jobsStatus(claims: readonly Claim[]): NonNullable<BatchQueueStatus['jobs']> {
  const active = claims.filter((claim) => isActive(claim));
  const running = active.filter((claim) => claim.running).length;
  const sent = claims.flatMap(({ held }) => held.map(({ sentAtMs }) => sentAtMs));
  return withoutUndefined({
    active: active.length,
    pending: active.length - running,
    running,
    oldestMessageTime: sent.length > 0 ? isoSeconds(Math.min(...sent)) : undefined,
  });
}

function lastSuccessTime(claims: readonly Claim[], previous: string | undefined): string | undefined {
  const times = claims
    .filter((claim) => hasSucceeded(claim) && claim.settled)
    .map(({ finishedAtMs }) => finishedAtMs ?? 0);
  const newest = Math.max(0, ...times);
  return newest > (Date.parse(previous ?? '') || 0) ? isoSeconds(newest) : previous;
}

function lastFailure(claims: readonly Claim[], previous: LastFailure | undefined): LastFailure | undefined {
  const failed = claims
    .filter((claim) => claim.settled && claim.outcome !== 'active' && !hasSucceeded(claim))
    .toSorted(byNewestEnd)[0];
  const newer = failed && (failed.finishedAtMs ?? 0) >= (Date.parse(previous?.time ?? '') || 0);
  return newer ? failureOf(failed) : previous;
}

/** Not when its worker contradicted itself: then nothing was deleted. */
function hasSucceeded({ outcome, ledger }: Claim): boolean {
  return outcome === 'succeeded' && ledger?.released === undefined;
}

const failureOf = remember(({ job, ledger, finishedAtMs, result, failure }: Claim): LastFailure => {
  const messages = ledger?.messages ?? [];
  const known = result ?? failure;
  return withoutUndefined({
    time: isoSeconds(finishedAtMs ?? 0),
    job: job.metadata.name,
    messageIds: messages.slice(0, MAX_FAILURE_MESSAGE_IDS).map(({ id }) => id),
    messageCount: messages.length,
    reason: known?.reason.slice(0, 256),
    exitCode: result?.exitCode,
    message: known?.message.slice(0, MAX_FAILURE_MESSAGE_LENGTH),
  });
});

function recentRuns(claims: readonly Claim[], previous: readonly RecentRun[]): RecentRun[] {
  const runs = claims.filter(({ settled, outcome }) => settled && outcome !== 'active').map(runEntry);
  const known = new Set(runs.map(({ job }) => job));
  return [...runs, ...previous.filter(({ job }) => !known.has(job))]
    .toSorted(byNewestCompletion)
    .slice(0, MAX_RECENT_RUNS);
}

/** For sorting: all times are texts of one length, so their order is that of time. */
function byNewestCompletion(a: RecentRun, b: RecentRun): number {
  const [left = '', right = ''] = [a.completionTime, b.completionTime];
  if (left !== right) return left < right ? 1 : -1;
  return a.job < b.job ? -1 : 1;
}

const runEntry = remember(
  (claim: Claim): RecentRun =>
    withoutUndefined({
      job: claim.job.metadata.name,
      messageId: claim.ledger?.messages[0]?.id,
      messageCount: claim.ledger?.messages.length,
      attempt: claim.ledger?.attempt,
      ...(runOf(claim) > 1 && { run: runOf(claim) }),
      revision: claim.revision,
      outcome: hasSucceeded(claim) ? 'Succeeded' : 'Failed',
      startTime: claim.startedAtMs === undefined ? undefined : isoSeconds(claim.startedAtMs),
      completionTime: claim.finishedAtMs === undefined ? undefined : isoSeconds(claim.finishedAtMs),
      reason: claim.result?.reason.slice(0, 256),
      message: claim.result?.message.slice(0, 256),
    }),
);

/** Drops absent fields, so that two equal statuses are equal JSON. */
function withoutUndefined<T extends object>(fields: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  const present: Partial<T> = {};
  for (const name in fields) if (fields[name] !== undefined) present[name] = fields[name];
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- exactly what is left, which types cannot say
  return present as { [K in keyof T]: Exclude<T[K], undefined> };
}
