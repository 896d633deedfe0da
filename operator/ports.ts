/**
 * What loops need of the world. Adapters in `kube/` and `sqs/` implement these; tests and the simulation bring their
 * own. Nothing here knows a library.
 */

/** Time. Instants are epoch milliseconds. */
export interface Clock {
  now(): number;
  /** Runs `task` once after `delayMs`; the returned function cancels it (harmless when it already ran). */
  after(delayMs: number, task: () => void): () => void;
}

/** A uniform number in [0, 1), for jitter only; no decision about a message depends on it. */
export type Random = () => number;

/** Structured log: constant text, variables as fields. Never bodies, receipt handles or credentials. */
export interface Log {
  debug(fields: object, text: string): void;
  info(fields: object, text: string): void;
  warn(fields: object, text: string): void;
  error(fields: object, text: string): void;
  child(fields: object): Log;
}

/** A Kubernetes object as raw JSON: fields that this version does not know survive reading and writing. */
export interface KubeObject {
  apiVersion?: string;
  kind?: string;
  metadata: ObjectMeta;
  [field: string]: unknown;
}

export interface ObjectMeta {
  name: string;
  namespace?: string;
  uid?: string;
  resourceVersion?: string;
  generation?: number;
  creationTimestamp?: string | null;
  deletionTimestamp?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  finalizers?: string[];
  ownerReferences?: OwnerReference[];
  [field: string]: unknown;
}

export interface OwnerReference {
  apiVersion: string;
  kind: string;
  name: string;
  uid: string;
  controller?: boolean;
  blockOwnerDeletion?: boolean;
}

/** Which collection of the API: `{group: 'batch', version: 'v1', plural: 'jobs'}`; the core group is `''`. */
export interface Resource {
  readonly group: string;
  readonly version: string;
  readonly plural: string;
}
