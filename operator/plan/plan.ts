import type { BatchQueueStatus } from '../api/batch-queue.ts';
import type { KubeObject } from '../ports.ts';
import type { HoldMemory } from './intake-hold.ts';
import type { Claim, HeldMessage, Ledger, WorkerResult } from './job-facts.ts';
import type { InboxMessage, QueueRef } from './message.ts';
import type { ResolvedImages } from './resolved-images.ts';
import type { Revision } from './revision-facts.ts';
import type { EventSubject } from './start-facts.ts';

/** What a reconcile turn decides: no behaviour; the loops carry it out. */

/** One thing to do. Actions are independent: they may run in any order, and one failing spoils only itself. */
export type Action =
  | { readonly kind: 'createRevision'; readonly object: KubeObject }
  | { readonly kind: 'renumberRevision'; readonly revision: Revision; readonly number: number }
  | { readonly kind: 'deleteRevision'; readonly revision: Revision }
  /** Keep on a revision what its tags mean. */
  | { readonly kind: 'keepImages'; readonly revision: Revision; readonly images: ResolvedImages }
  | { readonly kind: 'checkTemplate'; readonly hash: string; readonly job: KubeObject }
  | ClaimAction
  | RerunAction
  /** The messages came back while their Job lives: store the newest receipt handles. */
  | {
      readonly kind: 'adopt';
      readonly messages: readonly InboxMessage[];
      readonly claim: Claim;
      readonly ledger: Ledger;
    }
  /** The message came back after its Job succeeded: delete it again. */
  | { readonly kind: 'discard'; readonly message: InboxMessage }
  | ReleaseAction
  /** Let go of a message whose lease has ended; SQS brings it back. */
  | { readonly kind: 'forget'; readonly message: InboxMessage }
  /** Read the Jobs of this queue anew, past every cache. */
  | { readonly kind: 'listJobs' }
  | Settle
  /** Read what Kubernetes tells about a Job or a pod that takes long to start. */
  | { readonly kind: 'readStartEvents'; readonly about: EventSubject }
  /** End a Job that could never start, so that its messages run under the current revision. */
  | { readonly kind: 'endStuckJob'; readonly claim: Claim; readonly reason: string }
  /** Note on a Job that no worker of it has started; `reason` undefined: that one has. */
  | { readonly kind: 'markNeverStarted'; readonly claim: Claim; readonly reason: string | undefined }
  /** End the pods of a Job that somebody deletes. */
  | { readonly kind: 'stopPods'; readonly claim: Claim }
  /** Clean up a settled Job beyond the history limits. */
  | { readonly kind: 'deleteJob'; readonly claim: Claim }
  /** Delete payload Secrets that no Job uses. */
  | { readonly kind: 'sweepPayloads' };

/** Create the Job that holds the messages; what they carry stands in Secrets made before it, if it is large. */
export interface ClaimAction {
  readonly kind: 'claim';
  readonly messages: readonly InboxMessage[];
  readonly job: KubeObject;
  readonly secrets: readonly KubeObject[];
}

/** Create the next run of an attempt that an infrastructure fault has ended. */
export interface RerunAction {
  readonly kind: 'rerun';
  readonly claim: Claim;
  readonly job: KubeObject;
  /** Deliveries since then, whose receipt handles the new Job holds. */
  readonly redelivered: readonly InboxMessage[];
}

/** Both make a Job. */
export type CreateAction = ClaimAction | RerunAction;

/** Give back messages that get no Job; on FIFO queues in this order, which is last to first. */
export interface ReleaseAction {
  readonly kind: 'release';
  readonly messages: readonly InboxMessage[];
  readonly delaySeconds: number;
  readonly reason: string;
}

/** What the queue is told of one message of a Job. `copy`: to the dead-letter queue at once, then delete. */
export interface Verdict {
  readonly message: HeldMessage;
  readonly does: 'delete' | 'release' | 'reject' | 'copy';
  /** Until the message is visible again, in seconds; 0 for deletes. */
  readonly delaySeconds: number;
}

/** SQS first, then one write of the Job: a crash in between repeats the first step harmlessly. */
export interface Settle {
  readonly kind: 'settle';
  readonly claim: Claim;
  /** Where the messages are, and as whom SQS is told; undefined without a ledger. */
  readonly queue: QueueRef | undefined;
  /** On FIFO queues in the order in which SQS must be told. */
  readonly verdicts: readonly Verdict[];
  /** True: nothing is owed after this and the finalizer goes. False: other indexes of the Job still run. */
  readonly final: boolean;
  /** Why a final settlement tells the queue nothing, or says less than the Job's outcome. */
  readonly note: 'superseded' | 'abandoned' | undefined;
  /** Where copies of rejected messages go. */
  readonly deadLetterArn: string | undefined;
  readonly result: WorkerResult | undefined;
}

/** A lease that the heartbeat keeps, whatever else happens. */
export interface Lease {
  readonly queue: QueueRef;
  readonly messageId: string;
  readonly receiptHandle: string;
  readonly receivedAtMs: number;
  readonly visibilityTimeoutSeconds: number;
}

/** What intake may do until the next plan. */
export interface IntakeTarget {
  readonly queue: QueueRef;
  /** Messages that may still be taken for Jobs; what is in the inbox or asked for is not taken off. */
  readonly room: number;
  /** How much of the room one Job takes, full or not. */
  readonly perJob: number;
  /** Most messages one receive may bring: 10, or less on a FIFO queue, whose groups come together. */
  readonly perReceive: number;
  readonly visibilityTimeoutSeconds: number;
}

/**
 * How a queue is occupied: messages are held (`working`), none are but receives are made (`polling`), or neither
 * (`waiting`: suspended, scaled to zero, not ready).
 */
export type Pace = 'working' | 'polling' | 'waiting';

/** How one BatchQueue goes on. */
export interface Plan {
  readonly actions: readonly Action[];
  readonly pace: Pace;
  /** Undefined: no poll may start. */
  readonly intake: IntakeTarget | undefined;
  /** Every lease that must be kept for the Jobs of this queue; the inbox keeps its own. */
  readonly leases: readonly Lease[];
  /** What to remember of what holds intake. */
  readonly holdMemory: HoldMemory | undefined;
  /** Undefined when there is no BatchQueue to write it to. */
  readonly status: BatchQueueStatus | undefined;
  /** Ask again after this many milliseconds even if nothing happens. */
  readonly requeueAfterMs: number | undefined;
}
