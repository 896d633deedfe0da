import type { BatchQueue } from '../api/batch-queue.ts';
import type { KubeObject } from '../ports.ts';

/** A ControllerRevision of the queue. */
export interface Revision {
  readonly object: KubeObject;
  readonly number: number;
  /** Hash of the template, the identity of a revision. */
  readonly hash: string;
  readonly template: RevisionTemplate;
}

/** Everything of the spec that shapes a Job: what a revision keeps. */
export interface RevisionTemplate
  extends Pick<BatchQueue['spec'], 'jobTemplate' | 'serviceAccountName' | 'storage'> {
  readonly imagePullSecret?: { readonly name: string } | undefined;
  /** What the user wrote to have tags resolved anew. */
  readonly resolveImages?: string | undefined;
}
