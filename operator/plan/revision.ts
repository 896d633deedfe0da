import { createHash } from 'node:crypto';
import { z } from 'zod';
import { type BatchQueue, type BatchQueueSpec, batchQueueSpecSchema } from '../api/batch-queue.ts';
import { canonicalJson } from '../api/json.ts';
import { ANNOTATION_RESOLVE_IMAGES, LABEL_QUEUE } from '../api/names.ts';
import type { KubeObject } from '../ports.ts';
import type { Claim } from './job-facts.ts';
import { base32 } from './job-name.ts';
import { ownerReference } from './owner.ts';
import type { Action } from './plan.ts';
import type { Problem } from './problem.ts';
import { remember } from './remember.ts';
import type { Revision, RevisionTemplate } from './revision-facts.ts';

/**
 * Versions of a queue's template, kept as ControllerRevisions like a StatefulSet's: numbers only grow, and a template that
 * comes back gets its old object under a new number. The *latest* revision is the one of the template in the spec; the
 * *current* one is what new Jobs run: the latest, unless `spec.revision` pins another. Neither is ever pruned, nor one that
 * a Job runs.
 */

/** Raised when the hash function changes, so that a new operator does not take old hashes for other templates. */
const HASH_VERSION = 1;
const HASH_LENGTH = 10;

/** Templates are kept as they came; only what is read of them is checked. */
const storedSchema = z.object({
  revision: z.int(),
  data: z.object({
    template: batchQueueSpecSchema
      .pick({ jobTemplate: true, serviceAccountName: true, storage: true })
      .extend({
        imagePullSecret: z.object({ name: z.string() }).optional(),
        resolveImages: z.string().optional(),
      }),
  }),
});

/** Everything of the spec that shapes a Job, and nothing else: editing `maxConcurrentJobs` makes no revision. */
export const templateOf: (queue: BatchQueue) => RevisionTemplate = remember(readTemplate);

function readTemplate(queue: BatchQueue): RevisionTemplate {
  const { jobTemplate, serviceAccountName, storage, imagePullSecret } = queue.spec;
  const resolveImages = queue.metadata.annotations?.[ANNOTATION_RESOLVE_IMAGES] ?? '';
  return {
    jobTemplate,
    ...(serviceAccountName !== undefined && { serviceAccountName }),
    ...(storage && { storage }),
    ...(imagePullSecret && { imagePullSecret: { name: imagePullSecret.name } }),
    ...(resolveImages !== '' && { resolveImages }),
  };
}

/** Equal templates have equal hashes, whatever the order of their keys. */
export function hashTemplate(template: RevisionTemplate): string {
  const hash = createHash('sha256')
    .update(`${HASH_VERSION}:${canonicalJson(template)}`)
    .digest();
  return base32(hash).slice(0, HASH_LENGTH);
}

/** The hash of what a BatchQueue's spec says now. */
/** The last hash of each spec, and for which annotation: a status that is written leaves the spec as it was. */
const hashes = new WeakMap<BatchQueueSpec, { readonly asked: string; readonly hash: string }>();

/** The hash of what a BatchQueue says now: of its spec, and of the annotation that asks for its images anew. */
function latestHash(queue: BatchQueue): string {
  const asked = queue.metadata.annotations?.[ANNOTATION_RESOLVE_IMAGES] ?? '';
  const known = hashes.get(queue.spec);
  if (known?.asked === asked) return known.hash;
  const hash = hashTemplate(templateOf(queue));
  hashes.set(queue.spec, { asked, hash });
  return hash;
}

/** Reads a ControllerRevision; undefined when it is not one of ours. */
export const revisionFrom: (object: KubeObject) => Revision | undefined = remember(readRevision);

function readRevision(object: KubeObject): Revision | undefined {
  const stored = storedSchema.safeParse(object);
  if (!stored.success) return undefined;
  const { revision: number, data } = stored.data;
  return { object, number, hash: hashTemplate(data.template), template: data.template };
}

/** What new Jobs run. Undefined when the pinned one is not there, or the latest one is not made yet. */
export function currentRevision(queue: BatchQueue, revisions: readonly Revision[]): Revision | undefined {
  return queue.spec.revision === undefined
    ? latestRevision(queue, revisions)
    : pinnedRevision(queue, revisions);
}

/**
 * The revision that equals the spec and carries the highest number, if it exists already. A pinned one that equals the spec
 * keeps its number for as long as it is pinned, because a new one would break the pin.
 */
export function latestRevision(queue: BatchQueue, revisions: readonly Revision[]): Revision | undefined {
  const hash = latestHash(queue);
  const pinned = pinnedRevision(queue, revisions);
  if (pinned?.hash === hash) return pinned;
  const newest = byNumber(revisions).at(-1);
  return newest?.hash === hash ? newest : undefined;
}

/** Why there is nothing to run although there are revisions: the pinned one is not among them. */
export function missingPin(queue: BatchQueue, revisions: readonly Revision[]): Problem | undefined {
  const { revision } = queue.spec;
  // Of a new BatchQueue nothing is known yet: revision 1 is just being made.
  if (revision === undefined || revisions.length === 0 || pinnedRevision(queue, revisions)) return undefined;
  const numbers = byNumber(revisions).map(({ number }) => number);
  const message =
    `spec.revision is ${revision}, and no such revision is kept: there ${numbers.length === 1 ? 'is' : 'are'} ${numbers.join(', ')}. ` +
    'Name one of these (kubectl get controllerrevisions), or remove spec.revision to run the template as it stands in the spec.';
  return { reason: 'RevisionNotFound', message };
}

function pinnedRevision(queue: BatchQueue, revisions: readonly Revision[]): Revision | undefined {
  return revisions.find(({ number }) => number === queue.spec.revision);
}

/** The revision of the spec's template, under whatever number it has. */
export function sameTemplate(queue: BatchQueue, revisions: readonly Revision[]): Revision | undefined {
  return revisions.find(({ hash }) => hash === latestHash(queue));
}

/** What the revisions need: a new one, an old one renumbered, or nothing; and pruning beyond the limit. */
export function planRevisions(
  queue: BatchQueue,
  revisions: readonly Revision[],
  claims: readonly Claim[],
): Action[] {
  if (queue.metadata.deletionTimestamp !== undefined) return [];
  const latest = latestRevision(queue, revisions);
  if (latest) return prune(queue, revisions, claims, latest);
  const number = nextNumber(queue, revisions, claims);
  const same = sameTemplate(queue, revisions);
  if (same) return [{ kind: 'renumberRevision', revision: same, number }];
  return [{ kind: 'createRevision', object: buildRevision(queue, number) }];
}

function buildRevision(queue: BatchQueue, number: number): KubeObject {
  return {
    apiVersion: 'apps/v1',
    kind: 'ControllerRevision',
    metadata: {
      name: `${queue.metadata.name}-${latestHash(queue)}`,
      namespace: queue.metadata.namespace ?? 'default',
      labels: { [LABEL_QUEUE]: queue.metadata.name },
      ownerReferences: [ownerReference(queue)],
    },
    data: { template: templateOf(queue) },
    revision: number,
  };
}

/** Also above what Jobs and status remember, in case somebody deleted the revisions themselves. */
function nextNumber(queue: BatchQueue, revisions: readonly Revision[], claims: readonly Claim[]): number {
  const told = queue.status?.revision;
  const seen = [
    ...revisions.map((revision) => revision.number),
    ...claims.map((claim) => claim.revision),
    told?.current ?? 0,
    told?.latest ?? 0,
  ];
  return Math.max(...seen, 0) + 1;
}

function prune(
  queue: BatchQueue,
  revisions: readonly Revision[],
  claims: readonly Claim[],
  latest: Revision,
): Action[] {
  const inUse = new Set(claims.map((claim) => claim.revision));
  const { revision: pinned } = queue.spec;
  const old = byNumber(revisions).filter(
    (revision) => revision !== latest && revision.number !== pinned && !inUse.has(revision.number),
  );
  const surplus = old.slice(0, Math.max(0, old.length - queue.spec.revisionHistoryLimit));
  return surplus.map((revision) => ({ kind: 'deleteRevision', revision }));
}

function byNumber(revisions: readonly Revision[]): readonly Revision[] {
  return revisions.toSorted((a, b) => a.number - b.number);
}
