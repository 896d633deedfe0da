import type { BatchQueue } from '../api/batch-queue.ts';
import { blockedGroups } from './blocked-groups.ts';
import { isActive, needsPods, newestClaims } from './claim.ts';
import { planDispatch } from './dispatch.ts';
import { earliest } from './earliest.ts';
import { planHistory } from './history.ts';
import { planGate } from './intake-gate.ts';
import { buildJob } from './job.ts';
import type { Claim } from './job-facts.ts';
import { leasesOf } from './leases.ts';
import { isFifo, ledgerOf } from './ledger.ts';
import type { Message } from './message.ts';
import type { Action, CreateAction, IntakeTarget, Pace, Plan } from './plan.ts';
import { isHeldByPreflight } from './preflight.ts';
import { readerOf } from './queue-reader.ts';
import { awaitsRerun, planReruns } from './rerun.ts';
import { imagesToKeep } from './resolved-images.ts';
import { currentRevision, planRevisions } from './revision.ts';
import type { Revision } from './revision-facts.ts';
import { planSettlement, type SettlementContext } from './settlement.ts';
import type { Snapshot } from './snapshot.ts';
import { planStatus, type StatusSubject } from './status.ts';

/** While pods of a deleted Job are ending, nothing tells us when they have: look again after this long. */
const STOPPING_RECHECK_MS = 1_000;
/** While a delete is owed that SQS has refused, nothing tells us that polls bring nothing: look again after this long. */
const OWED_RECHECK_MS = 60_000;
/** SQS returns at most ten messages per receive. */
const MAX_PER_RECEIVE = 10;

/**
 * The one function that decides. Pure and total: the same snapshot gives the same plan. No action is planned again
 * after it was carried out, and within four rounds (a revision, its check, the claims, tidying up) nothing is left to do.
 */
export function planQueue(snapshot: Snapshot, subject: StatusSubject | undefined): Plan {
  const { queue, claims, inbox } = snapshot;
  const live = snapshot.isGone ? undefined : queue;
  const current = live && currentRevision(live, snapshot.revisions);
  const usable = usableRevision(current, snapshot);
  const room = live ? roomForJobs(live, snapshot) : 0;
  const slots = room - snapshot.underWay.length;
  // What a poll brings that was sent before a scale-down to 0 still runs.
  const startable = live?.spec.maxConcurrentJobs === 0 ? Math.max(0, slots + 1) : slots;
  const dispatch = planDispatch(inbox, { ...snapshot, queue: live, revision: usable, slots: startable });
  const reruns = planReruns(claims, { ...snapshot, queue: live, revision: usable });
  const wanted = [...dispatch.actions, ...reruns.actions];
  const gate = planGate(snapshot, { queue: live, current, usable, creates: wanted.filter(isCreate) });
  const intake =
    live && usable
      ? planIntake(live, gate.room(Math.max(0, room) * live.spec.queue.batchSize), snapshot)
      : undefined;
  const polled = polledQueueOf(snapshot);
  const forMessages = [
    ...wanted.filter((action) => !isCreate(action)),
    ...gate.actions,
    ...(reruns.needsList ? [{ kind: 'listJobs' } as const] : []),
    ...planSettlement({ ...snapshot, queue: live, ...polled }),
  ];
  const actions = [
    ...(live ? planForSpec(live, current, snapshot) : []),
    ...forMessages,
    ...planTidying(live, forMessages.length > 0, snapshot),
  ];
  return {
    actions: withoutJobsBeingSettled(actions, snapshot),
    intake,
    holdMemory: gate.memory,
    pace: paceOf(snapshot, intake),
    leases: leasesOf(snapshot, live, polled.queueArn),
    status: subject && planStatus(snapshot, subject, current, gate),
    requeueAfterMs: nextLook(snapshot, [dispatch.lookAgainAtMs, reruns.nextAtMs, gate.lookAgainAtMs]),
  };
}

/** No Job is made of a template that the API server refuses, whose image is not there, or whose tags are not kept yet. */
function usableRevision(
  current: Revision | undefined,
  { templateCheck, preflight: { image } }: Snapshot,
): Revision | undefined {
  if (!current || templateCheck.kind !== 'valid') return undefined;
  const isPullable = !image || (!image.holdsIntake && !imagesToKeep(current, image.images));
  return isPullable ? current : undefined;
}

/** What is to be done about a Job that is being settled depends on what comes of that. */
function withoutJobsBeingSettled(actions: readonly Action[], snapshot: Snapshot): readonly Action[] {
  const names = jobsBeingSettled(snapshot);
  return actions.filter((action) => !('claim' in action && names.has(action.claim.job.metadata.name)));
}

/** By name. */
function jobsBeingSettled({ settling }: Snapshot): ReadonlySet<string> {
  return new Set(settling.map(({ claim }) => claim.job.metadata.name));
}

function isCreate(action: Action): action is CreateAction {
  return action.kind === 'claim' || action.kind === 'rerun';
}

/**
 * Jobs that may be started: what runs, what waits for its next run and what may have been created is taken off; so is what
 * has failed and may wait for a run, as long as its pods are not read. What is being created is not: its messages are in
 * the inbox until it stands.
 */
function roomForJobs(queue: BatchQueue, snapshot: Snapshot): number {
  const { claims, pods, unconfirmed } = snapshot;
  const newest = newestClaims(claims);
  const settling = jobsBeingSettled(snapshot);
  const isUnread = (claim: Claim) => {
    const { name } = claim.job.metadata;
    return needsPods(claim) && !pods.has(name) && !settling.has(name);
  };
  const taken = claims.filter(
    (claim) => isActive(claim) || isUnread(claim) || awaitsRerun(claim, newest, { pods, queue }),
  );
  return queue.spec.maxConcurrentJobs - taken.length - unconfirmed.length;
}

function polledQueueOf({
  observation,
}: Snapshot): Pick<SettlementContext, 'queueArn' | 'deadLetterArn' | 'maxReceiveCount' | 'retentionSeconds'> {
  const known = observation.kind === 'reachable' ? observation.attributes : undefined;
  return {
    queueArn: known?.arn,
    deadLetterArn: known?.deadLetterArn,
    maxReceiveCount: known?.maxReceiveCount,
    retentionSeconds: known?.retentionSeconds,
  };
}

/** What nobody waits for. */
function planTidying(queue: BatchQueue | undefined, isWorking: boolean, snapshot: Snapshot): Action[] {
  const isBusy = isWorking || snapshot.underWay.length > 0;
  const history = queue ? planHistory(snapshot.claims, queue, isBusy) : [];
  return [...history, ...planSweep(snapshot)];
}

/** Not while messages wait: their Secrets may stand already, without a Job. */
function planSweep({ sweepAtMs, nowMs, inbox }: Snapshot): Action[] {
  const isDue = sweepAtMs !== undefined && sweepAtMs <= nowMs && inbox.length === 0;
  return isDue ? [{ kind: 'sweepPayloads' }] : [];
}

/** What the spec asks for apart from messages: its revision, the check of it, and what its tags mean. */
function planForSpec(queue: BatchQueue, current: Revision | undefined, snapshot: Snapshot): Action[] {
  const { revisions, claims, preflight } = snapshot;
  const revising = planRevisions(queue, revisions, claims);
  if (!current) return revising;
  const images = imagesToKeep(current, preflight.image?.images);
  return [
    ...revising,
    ...planTemplateCheck(queue, current, snapshot),
    ...(images ? [{ kind: 'keepImages', revision: current, images } as const] : []),
  ];
}

/** When to look again although nothing has happened, in milliseconds from now. */
function nextLook(
  { claims, inbox, templateCheck, sweepAtMs, nowMs }: Snapshot,
  others: readonly (number | undefined)[],
): number | undefined {
  const stopping = claims.some(isStopping) ? nowMs + STOPPING_RECHECK_MS : undefined;
  const owed = claims.some(isOwed) ? nowMs + OWED_RECHECK_MS : undefined;
  const recheck = templateCheck.kind === 'invalid' ? templateCheck.recheckAtMs : undefined;
  const sweep = inbox.length === 0 ? sweepAtMs : undefined;
  const atMs = earliest([stopping, owed, recheck, sweep, ...others]);
  return atMs === undefined ? undefined : Math.max(0, atMs - nowMs);
}

function paceOf({ claims, inbox }: Snapshot, intake: IntakeTarget | undefined): Pace {
  if (inbox.length > 0 || claims.some((claim) => !claim.settled)) return 'working';
  return intake ? 'polling' : 'waiting';
}

/** True for a Job that owes a delete which SQS has refused. */
function isOwed({ held }: Claim): boolean {
  return held.some(({ refusedAtMs }) => refusedAtMs !== undefined);
}

/** True for a Job that somebody deletes while its pods run; its messages are given back once they have ended. */
function isStopping(claim: Claim): boolean {
  return claim.deleting && !claim.settled && claim.outcome === 'active';
}

/**
 * Receive only what can run: a receive that is given back costs a receive count, which can never be lowered. Intake
 * itself takes off what is in its inbox and what its polls have asked for.
 */
function planIntake(queue: BatchQueue, room: number, snapshot: Snapshot): IntakeTarget | undefined {
  const { observation, queueInUseBy, preflight, rights } = snapshot;
  const { suspend, queue: settings } = queue.spec;
  if (suspend || observation.kind !== 'reachable' || queueInUseBy !== undefined) return undefined;
  if (!rights.isTried || rights.missing || isHeldByPreflight(preflight)) return undefined;
  const ref = { ...readerOf(queue), arn: observation.attributes.arn };
  return {
    queue: ref,
    room,
    perJob: settings.batchSize,
    perReceive: isFifo(ref) ? perReceiveOfGroups(settings.batchSize, snapshot) : MAX_PER_RECEIVE,
    visibilityTimeoutSeconds: settings.visibilityTimeoutSeconds,
  };
}

/**
 * A receive on a FIFO queue brings messages of one group, if it can: no more of it than one Job takes. While a group is
 * blocked, its first message alone: what came along would go back with it, and be dead-lettered for its sake in the end.
 */
function perReceiveOfGroups(batchSize: number, snapshot: Snapshot): number {
  return blockedGroups(snapshot) ? 1 : Math.min(MAX_PER_RECEIVE, batchSize);
}

/** A template that passes the schema may still not pass the server: asked once per revision, before intake. */
function planTemplateCheck(
  queue: BatchQueue,
  revision: Revision,
  { templateCheck, nowMs }: Snapshot,
): Action[] {
  const due =
    templateCheck.kind === 'unknown' ||
    (templateCheck.kind === 'invalid' && nowMs >= templateCheck.recheckAtMs);
  if (!due) return [];
  const { visibilityTimeoutSeconds } = queue.spec.queue;
  const ledger = ledgerOf([sampleMessage(queue, nowMs)], { attempt: 0, visibilityTimeoutSeconds });
  const payload = { inline: '[]', secrets: [] };
  const job = buildJob({ queue, revision, ledger, payload, traceparent: undefined });
  return [{ kind: 'checkTemplate', hash: revision.hash, job }];
}

function sampleMessage(queue: BatchQueue, nowMs: number): Message {
  return {
    queue: { ...readerOf(queue), arn: 'none' },
    id: 'template-check',
    body: '',
    receiptHandle: 'none',
    receiveCount: 0,
    sentAtMs: nowMs,
    receivedAtMs: nowMs,
    arrivedAtMs: nowMs,
    visibilityTimeoutSeconds: queue.spec.queue.visibilityTimeoutSeconds,
    attributes: {},
    messageAttributes: {},
  };
}
