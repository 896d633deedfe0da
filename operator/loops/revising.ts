import { hasCode, messageOf, OperatorError } from '../errors.ts';
import type { Action } from '../plan/types.ts';
import type { KubeObject } from '../ports.ts';
import { JOBS, REVISIONS } from '../world.ts';
import { type Subject, tell, type World } from './interpreter.ts';

/** A template that the server refused is asked about again after this long, in milliseconds. */
const TEMPLATE_RECHECK_MS = 30_000;

/** Stores a template under its next number. Somebody else's equal object is taken for ours. */
export async function createRevision(object: KubeObject, subject: Subject, world: World): Promise<void> {
  let created: KubeObject | undefined;
  try {
    created = await world.kube.create(REVISIONS, subject.namespace, object);
    tell(subject, world, {
      reason: 'RevisionCreated',
      note: `New Jobs run revision ${String(object['revision'])}.`,
    });
  } catch (error) {
    if (!hasCode(error, 'AlreadyExists')) throw error;
    created = await world.kube.get(REVISIONS, subject.namespace, object.metadata.name);
  }
  if (created) world.caches.revisions.put(created);
}

/** A template came back: its old object gets a new number, so that numbers only grow. */
export async function renumberRevision(
  { revision, number }: Extract<Action, { kind: 'renumberRevision' }>,
  subject: Subject,
  world: World,
): Promise<void> {
  const { name, namespace = '', resourceVersion } = revision.object.metadata;
  const body = { metadata: { resourceVersion }, revision: number };
  world.caches.revisions.put(await world.kube.patch(REVISIONS, namespace, name, body, { type: 'merge' }));
  tell(subject, world, {
    reason: 'RevisionCreated',
    note: `New Jobs run revision ${number} (as ${revision.number}).`,
  });
}

/** Deletes an old revision, if it is still the object that was observed. */
export async function deleteRevision(object: KubeObject, subject: Subject, world: World): Promise<void> {
  const { name, uid } = object.metadata;
  await world.kube.delete(REVISIONS, subject.namespace, name, uid === undefined ? {} : { uid });
  world.caches.revisions.remove(object);
}

/** Asks the API server, without creating anything, whether it would take a Job of this template. */
export async function checkTemplate(
  { hash, job }: Extract<Action, { kind: 'checkTemplate' }>,
  subject: Subject,
  world: World,
): Promise<void> {
  const checks = subject.session.templateChecks;
  try {
    await world.kube.create(JOBS, subject.namespace, job, { dryRun: true });
    checks.clear();
    checks.set(hash, { kind: 'valid' });
  } catch (error) {
    if (!(error instanceof OperatorError) || error.verdict !== 'terminal') throw error;
    checks.set(hash, {
      kind: 'invalid',
      message: messageOf(error),
      recheckAtMs: world.clock.now() + TEMPLATE_RECHECK_MS,
    });
  }
}
