import { fieldOf } from '../api/json.ts';
import { ANNOTATION_IMAGES } from '../api/names.ts';
import { hasCode, messageOf, OperatorError } from '../errors.ts';
import type { Action } from '../plan/plan.ts';
import { formatResolvedImages } from '../plan/resolved-images.ts';
import { refusedReason } from '../plan/start-trouble.ts';
import type { KubeObject } from '../ports.ts';
import { JOBS, REVISIONS } from '../world.ts';
import { type Subject, tell, type World } from './interpreter.ts';

/** A template that the server refused is asked about again after this long, in milliseconds. */
const TEMPLATE_RECHECK_MS = 30_000;

/** Stores a template under its next number. An equal object that stands there already is taken for ours, if it may be. */
export async function createRevision(object: KubeObject, subject: Subject, world: World): Promise<void> {
  let created: KubeObject;
  try {
    created = await world.kube.create(REVISIONS, subject.namespace, object);
  } catch (error) {
    if (!hasCode(error, 'AlreadyExists')) throw error;
    created = await takeOver(object, error, subject, world);
  }
  world.caches.revisions.put(created);
  tellRevision(String(created['revision']), subject, world);
}

/** One event for every roll-out of an edited template; a pin is told of apart (see `tellPin`). */
function tellRevision(words: string, subject: Subject, world: World): void {
  const pinned = fieldOf(subject.object?.['spec'], 'revision');
  const note =
    typeof pinned === 'number'
      ? `The template in the spec is revision ${words}; new Jobs run revision ${pinned}, as long as spec.revision says so.`
      : `New Jobs run revision ${words}.`;
  tell(subject, world, { reason: 'RevisionCreated', note });
}

/**
 * The name is a hash of the template, so the revision that has it holds the same template. One without an owner was
 * orphaned together with its Jobs and becomes ours. One of a BatchQueue that is gone is about to be collected: this
 * throws until it is.
 */
async function takeOver(
  object: KubeObject,
  taken: OperatorError,
  subject: Subject,
  world: World,
): Promise<KubeObject> {
  const { name, labels, ownerReferences = [] } = object.metadata;
  const existing = await world.kube.get(REVISIONS, subject.namespace, name);
  if (!existing) throw taken;
  const owners = existing.metadata.ownerReferences ?? [];
  if (owners.some(({ uid }) => uid === ownerReferences[0]?.uid)) return existing;
  if (owners.length > 0 || existing.metadata.deletionTimestamp !== undefined) throw taken;
  const { resourceVersion } = existing.metadata;
  const body = {
    metadata: { resourceVersion, labels, ownerReferences },
    revision: Math.max(Number(existing['revision']), Number(object['revision'])),
  };
  return await world.kube.patch(REVISIONS, subject.namespace, name, body, { type: 'merge' });
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
  tellRevision(`${number} (as ${revision.number})`, subject, world);
}

/** Writes what the tags of a revision mean beside its template, if nobody has changed it since it was observed. */
export async function keepImages(
  { revision, images }: Extract<Action, { kind: 'keepImages' }>,
  world: World,
): Promise<void> {
  const { name, namespace = '', resourceVersion } = revision.object.metadata;
  const annotations = { [ANNOTATION_IMAGES]: formatResolvedImages(images) };
  const body = { metadata: { resourceVersion, annotations } };
  world.caches.revisions.put(await world.kube.patch(REVISIONS, namespace, name, body, { type: 'merge' }));
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
      // A quota refuses the Job, not its template: nothing is received until there is room again.
      ...(refusedReason(error.message) === 'QuotaExceeded' && { reason: 'QuotaExceeded' }),
      message: messageOf(error),
      recheckAtMs: world.clock.now() + TEMPLATE_RECHECK_MS,
    });
  }
}
