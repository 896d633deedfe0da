import type { BatchQueue } from '../api/batch-queue.ts';
import { isActive } from './claim.ts';
import { planDispatch } from './dispatch.ts';
import { planHistory } from './history.ts';
import { buildJob } from './job.ts';
import { currentRevision, planRevisions } from './revision.ts';
import { planSettlement } from './settlement.ts';
import { planStatus, type StatusSubject } from './status.ts';
import type { Action, Claim, IntakeTarget, Lease, Message, Pace, Plan, Revision, Snapshot } from './types.ts';

/** While pods of a deleted Job are ending, nothing tells us when they have: look again after this long. */
const STOPPING_RECHECK_MS = 1_000;

/**
 * The one function that decides. Pure and total: the same snapshot gives the same plan. No action is planned again
 * after it was carried out, and within three rounds (a revision, its check, the claims) nothing is left to do.
 */
export function planQueue(snapshot: Snapshot, subject: StatusSubject | undefined): Plan {
  const { queue, claims, inbox, nowMs, pods } = snapshot;
  const live = queue?.metadata.deletionTimestamp === undefined ? queue : undefined;
  const current = live && currentRevision(live, snapshot.revisions);
  const usable = snapshot.templateCheck.kind === 'valid' ? current : undefined;
  const intake = live && usable ? planIntake(live, snapshot) : undefined;
  return {
    actions: [
      ...(live ? planForSpec(live, current, snapshot) : []),
      ...planDispatch(inbox, { nowMs, queue: live, revision: usable, claims }),
      ...planSettlement(claims, { nowMs, retry: live?.spec.retry, pods, inbox }),
    ],
    intake,
    pace: paceOf(snapshot, intake),
    leases: claims.flatMap((claim) => leasesOf(claim)),
    status: subject && planStatus(snapshot, subject, current),
    requeueAfterMs: nextLook(snapshot),
  };
}

/** What the spec asks for apart from messages: its revision, the check of it, and no more old Jobs than it wants. */
function planForSpec(queue: BatchQueue, current: Revision | undefined, snapshot: Snapshot): Action[] {
  const { revisions, claims } = snapshot;
  return [
    ...planRevisions(queue, revisions, claims),
    ...(current ? planTemplateCheck(queue, current, snapshot) : []),
    ...planHistory(claims, queue.spec),
  ];
}

/** When to look again although nothing has happened, in milliseconds from now. */
function nextLook({ claims, templateCheck, nowMs }: Snapshot): number | undefined {
  if (claims.some(isStopping)) return STOPPING_RECHECK_MS;
  return templateCheck.kind === 'invalid' ? Math.max(0, templateCheck.recheckAtMs - nowMs) : undefined;
}

function paceOf({ claims, inbox }: Snapshot, intake: IntakeTarget | undefined): Pace {
  if (inbox.length > 0 || claims.some((claim) => !claim.settled)) return 'working';
  return intake ? 'polling' : 'waiting';
}

/** True for a Job that somebody deletes while its pods run; its messages are given back once they have ended. */
function isStopping(claim: Claim): boolean {
  return claim.deleting && !claim.settled && claim.outcome === 'active';
}

/**
 * Receive only what can run: a receive that is given back costs a receive count, which can never be lowered. The
 * slots are those of Jobs that have not ended; intake itself takes off what is in its inbox.
 */
function planIntake(queue: BatchQueue, { claims, observation }: Snapshot): IntakeTarget | undefined {
  const { suspend, maxConcurrentJobs, queue: settings } = queue.spec;
  if (suspend || observation.kind !== 'reachable') return undefined;
  return {
    queue: { url: settings.url, arn: observation.attributes.arn },
    slots: Math.max(0, maxConcurrentJobs - claims.filter((claim) => isActive(claim)).length),
    visibilityTimeoutSeconds: settings.visibilityTimeoutSeconds,
  };
}

/** A lease is kept until its settlement is done, also while the settlement itself cannot be carried out. */
function leasesOf(claim: Claim): readonly Lease[] {
  const { ledger, settled } = claim;
  if (settled || !ledger) return [];
  return ledger.messages.map((message) => ({
    queue: ledger.queue,
    messageId: message.id,
    receiptHandle: message.receiptHandle,
    receivedAtMs: message.receivedAtMs,
    visibilityTimeoutSeconds: ledger.visibilityTimeoutSeconds,
  }));
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
  const job = buildJob({ queue, revision, message: sampleMessage(queue, nowMs), attempt: 0 });
  return [{ kind: 'checkTemplate', hash: revision.hash, job }];
}

function sampleMessage(queue: BatchQueue, nowMs: number): Message {
  return {
    queue: { url: queue.spec.queue.url, arn: 'none' },
    id: 'template-check',
    body: '',
    receiptHandle: 'none',
    receiveCount: 0,
    sentAtMs: nowMs,
    receivedAtMs: nowMs,
    visibilityTimeoutSeconds: queue.spec.queue.visibilityTimeoutSeconds,
    attributes: {},
    messageAttributes: {},
  };
}
