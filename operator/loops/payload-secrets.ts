import { z } from 'zod';
import { LABEL_QUEUE } from '../api/names.ts';
import { hasCode, messageOf } from '../errors.ts';
import { ownedByJob } from '../plan/owner.ts';
import { payloadOf } from '../plan/payload.ts';
import type { ClaimAction } from '../plan/plan.ts';
import type { KubeObject, OwnerReference } from '../ports.ts';
import { JOBS, SECRETS } from '../world.ts';
import type { Subject, World } from './interpreter.ts';

/** A Secret without a Job may still get one for this long, in milliseconds by the cluster's clock. */
const UNUSED_AFTER_MS = 600_000;

/**
 * Creates the Secrets that a Job needs, before the Job. Crash after: the BatchQueue owns them; the message is delivered
 * again and makes them anew, or they are swept.
 */
export async function makePayload({ secrets, job }: ClaimAction, world: World): Promise<void> {
  for (const secret of secrets) await makeOne(secret, job, world);
}

async function makeOne(secret: KubeObject, job: KubeObject, world: World): Promise<void> {
  const { namespace = '', name } = secret.metadata;
  try {
    await world.kube.create(SECRETS, namespace, secret, { answer: 'metadata' });
  } catch (error) {
    if (!hasCode(error, 'AlreadyExists')) throw error;
    // With its Job it is what the Job needs, and creating that Job tells. Without one it was left behind, perhaps by
    // another batch that began with the same message; it cannot be changed.
    if (await world.kube.get(JOBS, namespace, job.metadata.name)) return;
    const left = await world.kube.get(SECRETS, namespace, name);
    await world.kube.delete(SECRETS, namespace, name, uidOf(left));
    await world.kube.create(SECRETS, namespace, secret, { answer: 'metadata' });
  }
}

/** Hands the Secrets to their Job, so that they go with it. Not done: the sweep takes them when the Job is gone. */
export async function ownPayload(
  secrets: readonly KubeObject[],
  job: KubeObject,
  world: World,
): Promise<void> {
  const owners = [ownedByJob(job)];
  for (const { metadata } of secrets) await setOwners(metadata, owners, world);
}

/**
 * Keeps the Secrets of an ended Job for its next run: first they are the BatchQueue's, so that they do not go with the
 * old Job; with `next`, they go with that one.
 */
// oxlint-disable-next-line max-params -- from which Job, for whom, where, and to which
export async function keepPayload(
  job: KubeObject,
  { object }: Subject,
  world: World,
  next?: KubeObject,
): Promise<void> {
  const owners = next ? [ownedByJob(next)] : (job.metadata.ownerReferences ?? []);
  if (!object && !next) return;
  for (const { secretName } of payloadOf(job)?.secrets ?? [])
    await setOwners({ name: secretName, namespace: job.metadata.namespace ?? '' }, owners, world);
}

async function setOwners(
  { namespace = '', name }: { namespace?: string; name: string },
  ownerReferences: readonly OwnerReference[],
  world: World,
): Promise<void> {
  try {
    const options = { type: 'merge', answer: 'metadata' } as const;
    await world.kube.patch(SECRETS, namespace, name, { metadata: { ownerReferences } }, options);
  } catch (error) {
    world.log.warn({ secret: name, error: messageOf(error) }, 'owner of a payload could not be changed');
  }
}

/**
 * Deletes payload Secrets that no Job uses: what a crash between Secret and Job has left. Those that a Job uses without owning
 * them are looked at again later, because they do not go with it.
 */
export async function sweepPayloads(subject: Subject, world: World): Promise<void> {
  const { namespace, name, session } = subject;
  session.sweepAtMs = undefined;
  const { items } = await world.kube.list(SECRETS, { namespace, labelSelector: `${LABEL_QUEUE}=${name}` });
  if (items.length === 0) return;
  const { items: jobs } = await world.kube.list(JOBS, { namespace, labelSelector: `${LABEL_QUEUE}=${name}` });
  const used = new Set(
    jobs.flatMap((job) => payloadOf(job)?.secrets.map(({ secretName }) => secretName) ?? []),
  );
  const unused = items.filter(({ metadata }) => !used.has(metadata.name));
  if (items.some((secret) => used.has(secret.metadata.name) && !isOfJob(secret))) session.sweepLater();
  for (const secret of unused) {
    const isOld = world.clock.now() - createdAt(secret) > UNUSED_AFTER_MS;
    if (isOld) await world.kube.delete(SECRETS, namespace, secret.metadata.name, uidOf(secret));
    else session.sweepLater();
  }
}

/** Reads a file of the payload; undefined when the Secret is gone. */
export async function readSecretFile(
  namespace: string,
  secretName: string,
  file: string,
  world: World,
): Promise<string | undefined> {
  const secret = await world.kube.get(SECRETS, namespace, secretName);
  const data = dataSchema.safeParse(secret?.['data']).data?.[file];
  return data === undefined ? undefined : Buffer.from(data, 'base64').toString('utf8');
}

const dataSchema = z.record(z.string(), z.string());

function isOfJob({ metadata }: KubeObject): boolean {
  return metadata.ownerReferences?.some(({ kind }) => kind === 'Job') ?? false;
}

function createdAt({ metadata }: KubeObject): number {
  return Date.parse(metadata.creationTimestamp ?? '') || 0;
}

function uidOf(object: KubeObject | undefined): { uid?: string } {
  return object?.metadata.uid === undefined ? {} : { uid: object.metadata.uid };
}
