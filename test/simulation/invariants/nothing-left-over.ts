import { FINALIZER_SETTLEMENT, LABEL_QUEUE } from '../../../operator/api/names.ts';
import type { KubeObject } from '../../../operator/ports.ts';
import { BATCH_QUEUES, JOBS, REVISIONS } from '../../../operator/world.ts';
import { type ApiServer, resourceOf } from '../kubernetes/api-server.ts';
import type { Invariant } from '../truth/view.ts';

const SECRETS = resourceOf('secrets');

export const nothingLeftOver: Invariant = {
  id: 'I10',
  name: 'nothing-left-over',
  sentence:
    'In the end no Job is active or owes a settlement, no payload Secret is without its Job, and a BatchQueue that was deleted has left nothing but what was orphaned.',
  atEnd: ({ api, book }, broken) => {
    for (const run of book.runs())
      if (!run.gone && run.finished === 'no') broken(`Job ${run.name} is active`);
    const jobs = api.list(JOBS).items;
    for (const job of jobs) {
      const problem = problemOf(job);
      if (problem !== undefined) broken(`Job ${job.metadata.name} ${problem}`);
    }
    // Later runs use the Secrets of the first.
    const names = new Set(jobs.map(({ metadata }) => metadata.name.replace(/-r\d+$/, '')));
    // Without an owner: orphaned with its BatchQueue, before there was a Job.
    const owned = api.list(SECRETS).items.filter(({ metadata }) => metadata.ownerReferences?.length);
    for (const { metadata } of owned)
      if (!names.has(metadata.name.replace(/-body$/, ''))) broken(`Secret ${metadata.name} has no Job`);
    const left = [...jobs, ...api.list(REVISIONS).items].filter((object) => isWithoutOwner(object, api));
    for (const { metadata } of left) broken(`${metadata.name} is left of a BatchQueue that is gone`);
  },
};

function problemOf({ metadata }: KubeObject): string | undefined {
  if (metadata.finalizers?.includes(FINALIZER_SETTLEMENT)) return 'owes a settlement';
  return metadata.deletionTimestamp === undefined ? undefined : 'is stuck in its deletion';
}

/** An orphan is meant to stay; anything else goes with its BatchQueue. */
function isWithoutOwner({ metadata }: KubeObject, api: ApiServer): boolean {
  if (metadata.ownerReferences === undefined) return false;
  const { namespace = '', labels = {} } = metadata;
  return api.get(BATCH_QUEUES, namespace, labels[LABEL_QUEUE] ?? '') === undefined;
}
