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

/**
 * Time that only ever goes forward, whatever happens to the date. Two processes' instants have nothing to do with each
 * other.
 */
export interface MonotonicClock {
  /** Milliseconds since some moment of this process. */
  elapsedMs(): number;
  /** As `Clock.after`. */
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

/**
 * What an effect needs. `lead`: to be the one process that acts. `claim`: the same, or to have been it until a moment
 * ago; enough for creating the Job of a received message, because the Job's name is the lock.
 */
export type Right = 'lead' | 'claim';

/** Stands before every effect. It is asked when the effect is sent, not when it is decided: a process may sleep in between. */
export interface Fence {
  /** Throws `NotLeader` (`retry`; nothing was sent) when this process may not do it at this moment. */
  permit(right: Right): void;
  /**
   * Resolves when this process leads again, or when it never will; ask anew then. Undefined when there is nothing to wait
   * for: it leads, or it has stopped leading for good.
   */
  whenChanged(): Promise<void> | undefined;
}

/** Which BatchQueue a count belongs to. */
export interface QueueName {
  readonly namespace: string;
  readonly name: string;
}

/** What is counted of each BatchQueue; see `Metrics`. */
export type QueueCount =
  | 'messagesReceived'
  | 'messagesDeleted'
  | 'messagesReleased'
  | 'messagesRejected'
  /** A message delivered again while its Job was there: adopted. */
  | 'messagesAdopted'
  /** A lease ended although it was kept. */
  | 'leaseLapses'
  | 'jobsCreated'
  | 'jobsSucceeded'
  | 'jobsFailed'
  /** Deleted before they had ended. */
  | 'jobsDeleted';

/** Counters that people watch; nothing is decided by them. Never throws. */
export interface Metrics {
  /** All counts of this BatchQueue exist from here on, at zero. Again for a known one: no change. */
  knowQueue(queue: QueueName): void;
  /** Every series of this BatchQueue is gone. */
  forgetQueue(queue: QueueName): void;
  /** Adds to a count; also makes the BatchQueue known. `by`: default 1. */
  count(queue: QueueName, what: QueueCount, by?: number): void;
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
