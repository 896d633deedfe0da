import { ANNOTATION_LEDGER, FINALIZER_SETTLEMENT, LABEL_QUEUE } from '../api/names.ts';
import { hasCode, messageOf, OperatorError } from '../errors.ts';
import { isRefusal } from '../plan/creation-refusal.ts';
import { CREATE_TIMEOUT_MS, isRecentList, outlivesCreate } from '../plan/lease.ts';
import { formatLedger, parseLedger } from '../plan/ledger.ts';
import type { InboxMessage } from '../plan/message.ts';
import type { Action, ClaimAction, RerunAction } from '../plan/plan.ts';
import type { KubeObject } from '../ports.ts';
import { JOBS } from '../world.ts';
import { type Subject, tell, type World } from './interpreter.ts';
import { keepPayload, makePayload, ownPayload } from './payload-secrets.ts';

type Adopt = Extract<Action, { kind: 'adopt' }>;

/**
 * Creates the Job that holds the messages. Sent only while the lease of each outlives the request. Crash before the
 * answer: they are delivered again, meet the Job (under the same name, or in a list), and are adopted.
 */
export async function claim(action: ClaimAction, subject: Subject, world: World): Promise<void> {
  const { messages, job } = action;
  const { session } = subject;
  const { name } = job.metadata;
  assertLeases(messages, world);
  try {
    await makePayload(action, world);
    assertLeases(messages, world);
    const { object, isNew } = await createOrMeet(job, world, () => session.noteUnconfirmed(action));
    session.noteConfirmed(name);
    session.noteCreation(name);
    if (action.secrets.length > 0) await ownPayload(action.secrets, object, world);
    if (!isNew) return;
  } catch (error) {
    if (hasCode(error, 'NameTaken')) session.noteConfirmed(name);
    if (action.secrets.length > 0) session.sweepLater();
    refusedOrThrow(error, name, subject, world);
    return;
  }
  session.intake.claimed(messages);
  session.count('jobsCreated');
  const ids = idsOf(messages);
  world.log.info({ queue: subject.name, job: name, messageIds: messages.map(({ id }) => id) }, 'job created');
  tell(subject, world, { reason: 'JobCreated', note: `Created Job ${name} for ${ids}.` });
}

/**
 * Creates the next run of an attempt; the run before has ended and still holds the messages. Crash before or after: the
 * name is the lock, and whichever of the two Jobs is newest counts.
 */
export async function rerun(action: RerunAction, subject: Subject, world: World): Promise<void> {
  const { job, claim: ended, redelivered } = action;
  const { name } = job.metadata;
  const { session } = subject;
  assertRecentList(subject, world);
  await keepPayload(ended.job, subject, world);
  const met = await createOrMeet(job, world, () => undefined).catch((error: unknown) =>
    refusedOrThrow(error, name, subject, world),
  );
  if (!met) return;
  const { object, isNew } = met;
  session.noteCreation(name);
  if (isNew) session.count('jobsCreated');
  await keepPayload(ended.job, subject, world, object);
  for (const message of redelivered) session.intake.remove(message);
  world.log.info({ queue: subject.name, job: name, before: ended.job.metadata.name }, 'job created again');
  tell(subject, world, {
    reason: 'JobRerun',
    note: `Created Job ${name}: ${ended.job.metadata.name} ended without its worker's doing, which costs no attempt.`,
  });
}

/** A refusal is kept in mind, for the next plan to try again when it is time; what else fails is thrown. */
function refusedOrThrow(error: unknown, job: string, { session, name }: Subject, world: World): undefined {
  if (!(error instanceof OperatorError) || !isRefusal(error)) throw error;
  session.noteCreation(job, error);
  world.log.warn(
    { queue: name, job, code: error.code, error: messageOf(error) },
    'job refused, its messages are held',
  );
  return undefined;
}

function assertLeases(messages: readonly InboxMessage[], { heartbeat, clock }: World): void {
  for (const { queue, id } of messages) {
    if (outlivesCreate(heartbeat.trustedUntil(queue, id), clock.now())) continue;
    throw new OperatorError({
      code: 'LeaseTooShort',
      verdict: 'retry',
      message: `lease of ${id} is about to end`,
    });
  }
}

/** A process that was asleep since its plan was made looks once more. */
function assertRecentList({ session }: Subject, { clock }: World): void {
  if (isRecentList(session.jobsListedAtMs, clock.now())) return;
  throw new OperatorError({
    code: 'ListTooOld',
    verdict: 'retry',
    message: 'the jobs were listed too long ago',
  });
}

interface Met {
  readonly object: KubeObject;
  readonly isNew: boolean;
}

/** The Job, created or met; in both cases it is in the cache then. `onUnknown`: nobody knows whether it will be there. */
async function createOrMeet(job: KubeObject, world: World, onUnknown: () => void): Promise<Met> {
  try {
    const { metadata } = await world.kube.create(JOBS, job.metadata.namespace ?? '', job, {
      timeoutMs: CREATE_TIMEOUT_MS,
      answer: 'metadata',
    });
    // As it was sent, without the server's defaults: no decision reads those.
    const object = { ...job, metadata };
    world.caches.jobs.put(object);
    return { object, isNew: true };
  } catch (error) {
    const isUnknown = error instanceof OperatorError && error.outcomeUnknown;
    if (isUnknown) onUnknown();
    if (!isUnknown && !hasCode(error, 'AlreadyExists')) throw error;
    const object = await meetExisting(job, world);
    if (object) return { object, isNew: false };
    throw error;
  }
}

/**
 * The Job's name is the lock: if it is taken, or if nobody knows whether the create was carried out, the Job that
 * stands there is read and compared. Returned when it holds the same message, whatever attempt its maker took that for: it
 * is in the cache then, and the next plan adopts it or counts on from it. A name taken by anything else is reported and
 * left alone.
 */
async function meetExisting(job: KubeObject, world: World): Promise<KubeObject | undefined> {
  const { namespace = '', name } = job.metadata;
  const existing = await world.kube.get(JOBS, namespace, name);
  if (!existing) return undefined;
  if (!holdsSameMessage(existing, job)) {
    throw new OperatorError({
      code: 'NameTaken',
      verdict: 'terminal',
      message: `Job ${name} exists and does not hold the same messages; delete or rename it`,
    });
  }
  // Refused: it is being deleted, or somebody took our label from it, so that the cache does not see it.
  if (!world.caches.jobs.put(existing) && !world.caches.jobs.get(namespace, name)) return undefined;
  return existing;
}

/** It may hold other messages besides the first: those of this batch that are not in it find another Job. */
function holdsSameMessage(existing: KubeObject, wanted: KubeObject): boolean {
  const theirs = parseLedger(existing);
  const ours = parseLedger(wanted);
  return (
    theirs !== undefined &&
    // With another BatchQueue's label it is that one's to settle.
    existing.metadata.labels?.[LABEL_QUEUE] === wanted.metadata.labels?.[LABEL_QUEUE] &&
    theirs.queue.arn === ours?.queue.arn &&
    theirs.run === ours.run &&
    theirs.messages[0]?.id === ours.messages[0]?.id
  );
}

/**
 * Stores the newest receipt handles on the Job that already runs the messages. Only on the Job as it was observed: if it
 * has moved on, the next plan decides anew. Crash before: they are delivered again and adopted then.
 */
export async function adopt(action: Adopt, subject: Subject, world: World): Promise<void> {
  const { claim: holder, ledger, messages } = action;
  const { name, namespace = '', resourceVersion, finalizers = [] } = holder.job.metadata;
  const body = {
    metadata: {
      resourceVersion,
      annotations: { [ANNOTATION_LEDGER]: formatLedger(ledger) },
      finalizers: [...new Set([...finalizers, FINALIZER_SETTLEMENT])],
    },
  };
  world.caches.jobs.put(await world.kube.patch(JOBS, namespace, name, body, { type: 'merge' }));
  for (const message of messages) subject.session.intake.remove(message);
  subject.session.count('messagesAdopted', messages.length);
  const messageIds = messages.map(({ id }) => id);
  world.log.info({ queue: subject.name, job: name, messageIds }, 'redelivered messages adopted by their job');
  tell(subject, world, {
    reason: 'MessageAdopted',
    note: `Delivered again while Job ${name} runs it: ${idsOf(messages)}. The lease goes on.`,
  });
}

/**
 * Reads the Jobs of this queue past every cache: after this, a message received before it began may join a
 * new Job, and a create that was never answered is known to have come to nothing.
 */
export async function listJobs(subject: Subject, world: World): Promise<void> {
  const { namespace, name, session } = subject;
  const startedAtMs = world.clock.now();
  const { items } = await world.kube.list(JOBS, { namespace, labelSelector: `${LABEL_QUEUE}=${name}` });
  for (const job of items) world.caches.jobs.put(job);
  for (const { action, sentAtMs } of session.unconfirmed()) {
    if (sentAtMs + CREATE_TIMEOUT_MS < startedAtMs) session.noteConfirmed(action.job.metadata.name);
  }
  session.jobsListedAtMs = startedAtMs;
}

/** For events: a message by its id, several by their number and the first id. */
export function idsOf(messages: readonly { readonly id: string }[]): string {
  const [first, ...others] = messages;
  if (!first) return 'no message';
  return others.length === 0 ? `message ${first.id}` : `${messages.length} messages (${first.id}, …)`;
}
