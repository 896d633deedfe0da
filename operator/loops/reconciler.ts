import type { BatchQueue } from '../api/batch-queue.ts';
import { type ParsedBatchQueue, parseBatchQueue, withSpecOf } from '../api/validate.ts';
import { hasCode, messageOf, retryAfterMsOf } from '../errors.ts';
import { claimFrom, isClaim } from '../plan/claim.ts';
import { earliest } from '../plan/earliest.ts';
import type { Claim, PodsOfJob } from '../plan/job-facts.ts';
import { hasOtherConsumers } from '../plan/other-consumers.ts';
import { isPullDenied } from '../plan/pull-denial.ts';
import { planQueue } from '../plan/queue-plan.ts';
import { remember } from '../plan/remember.ts';
import { NOTHING_RESOLVED, resolvedImagesOf } from '../plan/resolved-images.ts';
import { currentRevision, revisionFrom, sameTemplate, templateOf } from '../plan/revision.ts';
import type { Revision } from '../plan/revision-facts.ts';
import type { QueueObservation, Snapshot } from '../plan/snapshot.ts';
import type { KubeObject } from '../ports.ts';
import { applyPlan, untilNews } from './carrying-out.ts';
import { type Subject, tell, type World } from './interpreter.ts';
import { observePods } from './observing-pods.ts';
import type { CheckSubject } from './preflight.ts';
import type { QueueSession } from './queue-session.ts';
import { tellHold } from './telling-hold.ts';
import { tellStatus } from './telling-status.ts';
import type { TurnResult } from './work-queue.ts';
import { statusOf, unwrittenOf, writeStatus } from './writing-status.ts';

/** Users are told of other readers of their queue no more often than this, in milliseconds. */
const OTHERS_PERIOD_MS = 600_000;

/**
 * One turn for one BatchQueue: observe → plan → apply, with a status write beside it. Level-triggered: it looks at the world as it
 * is and never at what happened. Rejects when an action failed, so that the key comes again with backoff; every other
 * action of the plan has been carried out by then.
 */
export async function reconcile(
  namespace: string,
  name: string,
  session: QueueSession,
  world: World,
): Promise<TurnResult> {
  const observed = await observePods(claimsOf(namespace, name, world), { namespace, name, session }, world);
  // From here to the publishing of the plan nothing waits: the snapshot is one moment, and so is what follows from it.
  const object = world.caches.batchQueues.get(namespace, name);
  const snapshot = observe(namespace, name, { object, session, world, pods: observed.pods });
  const arrival = session.nextArrival();
  const subject: Subject = { namespace, name, session, object, status: statusOf(object) };
  const previous = unwrittenOf(session, object) ?? subject.status;
  const plan = planQueue(snapshot, object && { generation: object.metadata.generation ?? 0, previous });
  session.intake.setTarget(plan.intake);
  session.publishLeases(plan.leases);
  session.observer.setPace(plan.pace);
  tellHold(session.holdMemory?.hold, plan.holdMemory?.hold, subject, world);
  session.notePullDenied(isPullDenied(snapshot.jobPods));
  tellStatus(previous, plan.status, subject, world);
  session.holdMemory = plan.holdMemory;
  if (hasOtherConsumers(snapshot.inbox, snapshot.claims)) tellOfOthers(subject, world);

  // The status tells of what was observed, so that it need not wait for what comes of the plan.
  const statusDelayMs = writeStatus(plan.status, subject, world);
  const failed = await applyPlan(plan.actions, subject, world);
  await untilNews(session, arrival, world);
  const failures = [
    ...observed.failures,
    ...failed,
    ...session.claimsUnderWay.takeFailures(),
    ...session.settlementsUnderWay.takeFailures(),
  ];
  const [first, ...others] = failures.toSorted((a, b) => retryAfterMsOf(b) - retryAfterMsOf(a));
  // The work queue logs what is thrown, and waits as long as the server asked for; the rest is logged here.
  for (const failure of others)
    if (!hasCode(failure, 'NotLeader'))
      world.log.warn({ queue: `${namespace}/${name}`, error: messageOf(failure) }, 'action failed');
  if (failures.length > 0) throw first;
  // Whatever was done may have changed what is to be done: look once more, until a plan is empty.
  if (plan.actions.length + snapshot.underWay.length + snapshot.settling.length > 0)
    return { requeueAfterMs: 0 };
  return soonest(plan.requeueAfterMs, statusDelayMs);
}

/** The Jobs of a BatchQueue that hold messages, whether or not the BatchQueue still exists. */
export function claimsOf(namespace: string, name: string, world: World): readonly Claim[] {
  return claimsFrom(world.caches.jobs.byIndex(`${namespace}/${name}`));
}

const claimsFrom = remember((jobs: readonly KubeObject[]) => jobs.map(claimFrom).filter(isClaim));

/** Most changes of a BatchQueue are our own status writes; its generation tells whether the spec is the one of before. */
function batchQueueFrom(object: KubeObject, session: QueueSession): ParsedBatchQueue {
  const { parsed: known } = session;
  if (known?.object === object) return known.result;
  const { uid, generation } = object.metadata;
  const { uid: knownUid, generation: knownGeneration } = known?.object.metadata ?? {};
  const isSame = known && generation !== undefined && generation === knownGeneration && uid === knownUid;
  const result = isSame ? withSpecOf(known.result, object) : parseBatchQueue(object);
  session.parsed = { object, result };
  return result;
}

interface Observed {
  readonly object: KubeObject | undefined;
  readonly session: QueueSession;
  readonly world: World;
  readonly pods: ReadonlyMap<string, PodsOfJob>;
}

function observe(namespace: string, name: string, { object, session, world, pods }: Observed): Snapshot {
  const parsed = object && batchQueueFrom(object, session);
  const queue = parsed?.ok ? parsed.queue : undefined;
  const alive = object !== undefined && object.metadata.deletionTimestamp === undefined;
  const revisions = world.caches.revisions
    .byIndex(`${namespace}/${name}`)
    .filter((revision) => isOwnedBy(revision, object))
    .flatMap((revision) => revisionFrom(revision) ?? []);
  session.lookAt(alive && queue ? checkSubject(queue, revisions) : undefined);
  const observation = session.observer.observation();
  return {
    nowMs: world.clock.now(),
    queue,
    problems: parsed?.ok === false ? parsed.problems.map(({ path, message }) => `${path}: ${message}`) : [],
    claims: claimsOf(namespace, name, world),
    inbox: session.inbox(),
    isGone: !alive,
    arrivals: session.arrivals(),
    underWay: session.claimsUnderWay.actions(),
    settling: session.settlementsUnderWay.actions(),
    unconfirmed: session.unconfirmed(),
    jobsListedAtMs: session.jobsListedAtMs,
    sweepAtMs: session.sweepAtMs,
    revisions,
    observation,
    queueInUseBy: inUseBy(
      observation,
      { key: `${namespace}/${name}`, object: alive ? object : undefined },
      world,
    ),
    receiveProblem: session.intake.problem(),
    polls: session.intake.polls(),
    rights: session.rights.known(),
    templateCheck: templateCheckOf(queue && currentRevision(queue, revisions), session),
    preflight: session.preflight.answers(),
    pods,
    jobPods: world.caches.pods.byIndex(`${namespace}/${name}`),
    startEvents: session.startEvents,
    creations: session.creations(),
    holdMemory: session.holdMemory,
  };
}

/** What new Jobs run is what is checked, also before it is a revision. */
function checkSubject(queue: BatchQueue, revisions: readonly Revision[]): CheckSubject {
  const revision = currentRevision(queue, revisions) ?? sameTemplate(queue, revisions);
  const resolved = revision ? resolvedImagesOf(revision) : NOTHING_RESOLVED;
  return { queue, template: revision?.template ?? templateOf(queue), resolved };
}

/** Notes which queue this BatchQueue reads; the older one that reads it too. A queue that does not answer is still read. */
function inUseBy(
  observation: QueueObservation,
  { key, object }: { readonly key: string; readonly object: KubeObject | undefined },
  { queueUsers }: World,
): string | undefined {
  if (!object || observation.kind === 'unknown') queueUsers.forget(key);
  if (!object || observation.kind !== 'reachable') return undefined;
  const { uid = '', creationTimestamp } = object.metadata;
  const user = { key, uid, createdAtMs: Date.parse(creationTimestamp ?? '') || 0 };
  const first = queueUsers.note(user, observation.attributes.arn);
  return first.key === key ? undefined : first.key;
}

/** A revision that a deleted BatchQueue of the same name left behind is about to be collected. */
function isOwnedBy(revision: KubeObject, owner: KubeObject | undefined): boolean {
  return revision.metadata.ownerReferences?.some(({ uid }) => uid === owner?.metadata.uid) ?? false;
}

function templateCheckOf(revision: Revision | undefined, session: QueueSession): Snapshot['templateCheck'] {
  return (revision && session.templateChecks.get(revision.hash)) ?? { kind: 'unknown' };
}

function tellOfOthers(subject: Subject, world: World): void {
  const { session } = subject;
  const nowMs = world.clock.now();
  if (nowMs < session.othersToldAtMs + OTHERS_PERIOD_MS) return;
  session.othersToldAtMs = nowMs;
  tell(subject, world, {
    type: 'Warning',
    reason: 'OtherConsumers',
    note: 'Messages have been received between two receives of this operator: somebody else reads the queue, too.',
  });
}

function soonest(...delays: readonly (number | undefined)[]): TurnResult {
  const requeueAfterMs = earliest(delays);
  return requeueAfterMs === undefined ? {} : { requeueAfterMs };
}
