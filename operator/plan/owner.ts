import type { BatchQueue } from '../api/batch-queue.ts';
import { API_GROUP, API_VERSION, KIND } from '../api/names.ts';
import type { KubeObject, OwnerReference } from '../ports.ts';

/** Makes the BatchQueue the owner: deleting it deletes its Jobs and revisions. */
export function ownerReference(queue: BatchQueue): OwnerReference {
  return {
    apiVersion: `${API_GROUP}/${API_VERSION}`,
    kind: KIND,
    name: queue.metadata.name,
    uid: queue.metadata.uid ?? '',
    controller: true,
    blockOwnerDeletion: true,
  };
}

/** Makes a Job the owner of its payload. */
export function ownedByJob({ metadata }: KubeObject): OwnerReference {
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    name: metadata.name,
    uid: metadata.uid ?? '',
    controller: true,
  };
}
