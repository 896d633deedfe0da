import { ANNOTATION_LEDGER, FINALIZER_SETTLEMENT, LABEL_QUEUE } from '../api/names.ts';
import { hasCode, messageOf, OperatorError } from '../errors.ts';
import { CREATE_TIMEOUT_MS, outlivesCreate } from '../plan/lease.ts';
import { formatLedger, parseLedger } from '../plan/ledger.ts';
import type { Action, InboxMessage } from '../plan/types.ts';
import type { KubeObject } from '../ports.ts';
import { JOBS } from '../world.ts';
import { assertSettled, type Subject, tell, type World } from './interpreter.ts';

type Claim = Extract<Action, { kind: 'claim' }>;
type Adopt = Extract<Action, { kind: 'adopt' }>;

/**
 * Creates the Job that holds a message. Sent only while the lease outlives the request. Crash before the answer: the
 * message is delivered again, meets the Job under the same name, and is adopted.
 */
export async function claim({ message, job }: Claim, subject: Subject, world: World): Promise<void> {
  const { session } = subject;
  if (!outlivesCreate(world.heartbeat.trustedUntil(message.queue, message.id), world.clock.now())) {
    throw new OperatorError({
      code: 'LeaseTooShort',
      verdict: 'retry',
      message: `lease of ${message.id} is about to end`,
    });
  }
  try {
    const isNew = await createOrMeet(job, message, world);
    session.noteCreation(message.id, undefined);
    if (!isNew) return;
  } catch (error) {
    session.noteCreation(message.id, messageOf(error));
    throw error;
  }
  session.intake.claimed(message);
  world.log.info({ queue: subject.name, job: job.metadata.name, messageId: message.id }, 'job created');
  tell(subject, world, {
    reason: 'JobCreated',
    note: `Created Job ${job.metadata.name} for message ${message.id}.`,
  });
}

/** True when the Job was created, false when it was there already; in both cases it is in the cache then. */
async function createOrMeet(job: KubeObject, message: InboxMessage, world: World): Promise<boolean> {
  try {
    const created = await world.kube.create(JOBS, job.metadata.namespace ?? '', job, {
      timeoutMs: CREATE_TIMEOUT_MS,
    });
    world.caches.jobs.put(created);
    return true;
  } catch (error) {
    if (await meetExisting(error, job, message, world)) return false;
    throw error;
  }
}

/**
 * The Job's name is the lock: if it is taken, or if nobody knows whether the create was carried out, the Job that
 * stands there is read and compared. True when it is this message's: it is in the cache then, and the next plan
 * adopts it. A name taken by anything else is reported and left alone.
 */
async function meetExisting(
  error: unknown,
  job: KubeObject,
  message: InboxMessage,
  world: World,
): Promise<boolean> {
  const unknown = error instanceof OperatorError && error.outcomeUnknown;
  if (!unknown && !hasCode(error, 'AlreadyExists')) return false;
  const { namespace = '', name } = job.metadata;
  const existing = await world.kube.get(JOBS, namespace, name);
  if (!existing) return false;
  if (!holdsSameAttempt(existing, job, message.id)) {
    throw new OperatorError({
      code: 'NameTaken',
      verdict: 'terminal',
      message: `Job ${name} exists and does not hold message ${message.id}; delete or rename it`,
    });
  }
  // Refused: it is being deleted, or somebody took our label from it, so that the cache does not see it.
  if (!world.caches.jobs.put(existing) && !world.caches.jobs.get(namespace, name)) return false;
  return true;
}

function holdsSameAttempt(existing: KubeObject, wanted: KubeObject, messageId: string): boolean {
  const theirs = parseLedger(existing);
  const ours = parseLedger(wanted);
  return (
    theirs !== undefined &&
    // With another BatchQueue's label it is that one's to settle.
    existing.metadata.labels?.[LABEL_QUEUE] === wanted.metadata.labels?.[LABEL_QUEUE] &&
    theirs.queue.arn === ours?.queue.arn &&
    theirs.attempt === ours.attempt &&
    theirs.messages.some(({ id }) => id === messageId)
  );
}

/**
 * Stores the newest receipt handle on the Job that already runs the message. Only on the Job as it was observed: if it
 * has moved on, the next plan decides anew. Crash before: the message is delivered again and adopted then.
 */
export async function adopt(
  { claim: { job }, ledger, message }: Adopt,
  subject: Subject,
  world: World,
): Promise<void> {
  const { name, namespace = '', resourceVersion, finalizers = [] } = job.metadata;
  const patched = await world.kube.patch(
    JOBS,
    namespace,
    name,
    {
      metadata: {
        resourceVersion,
        annotations: { [ANNOTATION_LEDGER]: formatLedger(ledger) },
        finalizers: [...new Set([...finalizers, FINALIZER_SETTLEMENT])],
      },
    },
    { type: 'merge' },
  );
  world.caches.jobs.put(patched);
  subject.session.intake.remove(message);
  world.log.info(
    { queue: subject.name, job: name, messageId: message.id },
    'redelivered message adopted by its job',
  );
  tell(subject, world, {
    reason: 'MessageAdopted',
    note: `Message ${message.id} was delivered again while Job ${name} runs it; its lease goes on.`,
  });
}

/** Deletes a message that its Job has already done. Crash before: it is delivered again and discarded then. */
export async function discard(message: InboxMessage, subject: Subject, world: World): Promise<void> {
  await world.heartbeat.withdraw(message.queue, [message.id]);
  assertSettled(await world.queue.delete(message.queue, [message]));
  subject.session.intake.remove(message);
  world.log.info(
    { queue: subject.name, messageId: message.id },
    'message delivered again after its success, deleted',
  );
}

/** Gives a message back that gets no Job. Crash before: its lease runs out, with the same effect. */
export async function release(
  { message, delaySeconds, reason }: Extract<Action, { kind: 'release' }>,
  subject: Subject,
  world: World,
): Promise<void> {
  await world.heartbeat.withdraw(message.queue, [message.id]);
  assertSettled(await world.queue.changeVisibility(message.queue, [message], delaySeconds));
  subject.session.intake.remove(message);
  world.log.warn(
    { queue: subject.name, messageId: message.id, reason, delaySeconds },
    'message released without a job',
  );
  tell(subject, world, {
    type: 'Warning',
    reason,
    note: `Message ${message.id} was given back without a Job; it is visible again in ${delaySeconds} s.`,
  });
}
