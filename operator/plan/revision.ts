import { createHash } from 'node:crypto';
import { z } from 'zod';
import { type BatchQueue, type BatchQueueSpec, batchQueueSpecSchema } from '../api/batch-queue.ts';
import { LABEL_QUEUE } from '../api/names.ts';
import type { KubeObject } from '../ports.ts';
import type { Claim } from './job-facts.ts';
import { base32 } from './job-name.ts';
import { ownerReference } from './owner.ts';
import type { Action } from './plan.ts';
import { remember } from './remember.ts';
import type { Revision, RevisionTemplate } from './snapshot.ts';

/**
 * Versions of a queue's template, kept as ControllerRevisions like a StatefulSet's: numbers only grow, a template that
 * comes back gets its old object under a new number, and what is current or in use is never pruned.
 */

/** Raised when the hash function changes, so that a new operator does not take old hashes for other templates. */
const HASH_VERSION = 1;
const HASH_LENGTH = 10;

/** Templates are kept as they came; only what is read of them is checked. */
const storedSchema = z.object({
  revision: z.int(),
  data: z.object({
    template: batchQueueSpecSchema.pick({
      jobTemplate: true,
      serviceAccountName: true,
      storage: true,
      imagePullSecret: true,
    }),
  }),
});

/** Everything of the spec that shapes a Job, and nothing else: editing `maxConcurrentJobs` makes no revision. */
export function templateOf({ spec }: Pick<BatchQueue, 'spec'>): RevisionTemplate {
  const { jobTemplate, serviceAccountName, storage, imagePullSecret } = spec;
  return {
    jobTemplate,
    ...(serviceAccountName !== undefined && { serviceAccountName }),
    ...(storage && { storage }),
    ...(imagePullSecret && { imagePullSecret }),
  };
}

/** Equal templates have equal hashes, whatever the order of their keys. */
export function hashTemplate(template: RevisionTemplate): string {
  const hash = createHash('sha256')
    .update(`${HASH_VERSION}:${canonical(template)}`)
    .digest();
  return base32(hash).slice(0, HASH_LENGTH);
}

/** The hash of what a BatchQueue's spec says now. */
const currentHash = remember((spec: BatchQueueSpec) => hashTemplate(templateOf({ spec })));

/** Reads a ControllerRevision; undefined when it is not one of ours. */
export const revisionFrom: (object: KubeObject) => Revision | undefined = remember(readRevision);

function readRevision(object: KubeObject): Revision | undefined {
  const stored = storedSchema.safeParse(object);
  if (!stored.success) return undefined;
  const { revision: number, data } = stored.data;
  return { object, number, hash: hashTemplate(data.template), template: data.template };
}

/** The revision that equals the spec and carries the highest number, if it exists already. */
export function currentRevision(queue: BatchQueue, revisions: readonly Revision[]): Revision | undefined {
  const newest = byNumber(revisions).at(-1);
  return newest?.hash === currentHash(queue.spec) ? newest : undefined;
}

/** What the revisions need: a new one, an old one renumbered, or nothing; and pruning beyond the limit. */
export function planRevisions(
  queue: BatchQueue,
  revisions: readonly Revision[],
  claims: readonly Claim[],
): Action[] {
  if (queue.metadata.deletionTimestamp !== undefined) return [];
  const current = currentRevision(queue, revisions);
  if (current) return prune(queue, revisions, claims, current);
  const hash = currentHash(queue.spec);
  const number = nextNumber(queue, revisions, claims);
  const same = revisions.find((revision) => revision.hash === hash);
  if (same) return [{ kind: 'renumberRevision', revision: same, number }];
  return [{ kind: 'createRevision', object: buildRevision(queue, hash, number) }];
}

function buildRevision(queue: BatchQueue, hash: string, number: number): KubeObject {
  return {
    apiVersion: 'apps/v1',
    kind: 'ControllerRevision',
    metadata: {
      name: `${queue.metadata.name}-${hash}`,
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
  const seen = [
    ...revisions.map((revision) => revision.number),
    ...claims.map((claim) => claim.revision),
    queue.status?.revision?.current ?? 0,
  ];
  return Math.max(...seen, 0) + 1;
}

function prune(
  queue: BatchQueue,
  revisions: readonly Revision[],
  claims: readonly Claim[],
  current: Revision,
): Action[] {
  const inUse = new Set(claims.map((claim) => claim.revision));
  const old = byNumber(revisions).filter((revision) => revision !== current && !inUse.has(revision.number));
  const surplus = old.slice(0, Math.max(0, old.length - queue.spec.revisionHistoryLimit));
  return surplus.map((revision) => ({ kind: 'deleteRevision', revision }));
}

function byNumber(revisions: readonly Revision[]): readonly Revision[] {
  return revisions.toSorted((a, b) => a.number - b.number);
}

/** JSON with sorted keys. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const entries = Object.entries(value).filter(([, field]) => field !== undefined);
  const sorted = entries.toSorted(([a], [b]) => (a < b ? -1 : 1));
  return `{${sorted.map(([key, field]) => `${JSON.stringify(key)}:${canonical(field)}`).join(',')}}`;
}
