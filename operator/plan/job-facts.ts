import type { KubeObject } from '../ports.ts';
import type { QueueRef } from './message.ts';

/** What is known of one of our Jobs: its ledger, its pods, and what its worker reported. */

/** What a Job remembers of a message: enough to renew and to settle after any restart. */
export interface LedgerMessage {
  readonly id: string;
  readonly receiptHandle: string;
  readonly receiveCount: number;
  readonly sentAtMs: number;
  readonly receivedAtMs: number;
  /** On FIFO queues: the message group, and the number that orders it within the group. */
  readonly groupId?: string | undefined;
  readonly sequenceNumber?: string | undefined;
  /** FIFO only: when its delete was refused because the receipt handle had expired, epoch ms; it stays owed. */
  readonly refusedAtMs?: number | undefined;
}

/** The ledger annotation of a Job. */
export interface Ledger {
  readonly queue: QueueRef;
  /** Application attempts, from 1; not SQS's receive count. */
  readonly attempt: number;
  /** The number in the Job's name, where it is not the attempt: no earlier Job was left to count on from. */
  readonly lock?: number | undefined;
  /** Jobs within one attempt, from 1: an infrastructure fault costs a run, not an attempt. */
  readonly run: number;
  /** The visibility timeout that renewals ask for, in seconds. */
  readonly visibilityTimeoutSeconds: number;
  /** A message's position is its index in the messages file (and in an Indexed Job); it never changes. */
  readonly messages: readonly LedgerMessage[];
  /** Indexes of messages that no longer belong to the Job, in the text form of `completedIndexes` (`0-4,6`), by fate. */
  readonly deleted?: string | undefined;
  readonly released?: string | undefined;
  readonly rejected?: string | undefined;
}

/**
 * What has become of a message of a Job: `deleted` after its success (or after its copy in the dead-letter queue was
 * confirmed), `released` to be tried again, `rejected` and given back for the redrive policy alone. `held`: still owed.
 */
export type Fate = 'held' | 'deleted' | 'released' | 'rejected';

/** A message that still belongs to its Job. */
export interface HeldMessage extends LedgerMessage {
  readonly index: number;
}

/** `active` until the Job has a final condition; `succeeded` is Complete=True, `failed` is Failed=True. */
export type Outcome = 'active' | 'succeeded' | 'failed';

/** One of our Jobs, read from raw JSON. */
export interface Claim {
  readonly job: KubeObject;
  /** Missing when the annotation is gone or unreadable: then no message may be touched on its behalf. */
  readonly ledger: Ledger | undefined;
  readonly revision: number;
  readonly outcome: Outcome;
  /** The settlement finalizer is gone: nothing is owed to the queue any more. */
  readonly settled: boolean;
  /** What the ledger still holds; empty once settled. */
  readonly held: readonly HeldMessage[];
  /** Undefined for a Job that completes as a whole; else how its indexes have ended so far. */
  readonly indexes: IndexProgress | undefined;
  readonly deleting: boolean;
  /** At least one pod is ready. */
  readonly running: boolean;
  readonly startedAtMs: number | undefined;
  readonly finishedAtMs: number | undefined;
  /** Reason and message of the Failed condition. */
  readonly failure: { readonly reason: string; readonly message: string } | undefined;
  /** Recorded at settlement. */
  readonly result: WorkerResult | undefined;
}

/** `completedIndexes` and `failedIndexes` of an Indexed Job. */
export interface IndexProgress {
  readonly completed: ReadonlySet<number>;
  readonly failed: ReadonlySet<number>;
}

/** What the contract container of a Job reported: exit code and the message it left. */
export interface WorkerResult {
  readonly exitCode?: number | undefined;
  /** CamelCase: the sysexits name of a contract code, or Kubernetes' own reason. */
  readonly reason: string;
  /** At most 1,024 characters. */
  readonly message: string;
}

/** The result file of a worker: lists in the text form of `completedIndexes`, as it wrote them. */
export interface WorkerReport extends WorkerResult {
  readonly succeededIndexes?: string | undefined;
  readonly rejectedIndexes?: string | undefined;
  readonly retryAfterSeconds?: number | undefined;
}

/** The pods of one Job, as far as ending them and reading their result needs it. */
export interface PodsOfJob {
  /** Pods that have not ended and that nobody has asked to end. */
  readonly running: number;
  /** Pods that have been asked to end and have not ended. */
  readonly terminating: number;
  /** There are pods, and in none of them the contract container has ever started: not the message's fault. */
  readonly neverStarted: boolean;
  /** Of the newest pod. */
  readonly result: WorkerReport | undefined;
  /** Of the newest pod of each index of an Indexed Job. */
  readonly resultOfIndex: ReadonlyMap<number, WorkerReport>;
  /** Indexes of an Indexed Job that still have a pod which has not ended. */
  readonly unfinishedIndexes?: ReadonlySet<number>;
  /** A pod that is not of an Indexed Job has succeeded. */
  readonly hasSucceeded?: boolean;
  /** Indexes of an Indexed Job of which a pod has succeeded. */
  readonly succeededIndexes?: ReadonlySet<number>;
}
