import type { BatchQueue } from '../api/batch-queue.ts';

/**
 * Who reads which queue. The namespace is always that of the object the work is for, never one that a text names: whoever
 * may edit a BatchQueue or a Job in a namespace gets the rights of ServiceAccounts of that namespace, and no others.
 */
export interface QueueReader {
  readonly namespace: string;
  /** The polling ServiceAccount, in that namespace. */
  readonly serviceAccountName: string;
  readonly url: string;
}

/** Tells readers apart: what one asks of a queue never goes out in a request of another. */
export function readerKey({ namespace, serviceAccountName, url }: QueueReader): string {
  return `${namespace}/${serviceAccountName} ${url}`;
}

/** The reader that a BatchQueue asks for: the ServiceAccount of its queue, else that of its Jobs, else the namespace's default. */
export function readerOf({ metadata, spec }: BatchQueue): QueueReader {
  const serviceAccountName = spec.queue.serviceAccountName ?? spec.serviceAccountName ?? 'default';
  return { namespace: metadata.namespace ?? '', serviceAccountName, url: spec.queue.url };
}
