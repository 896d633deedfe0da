import type { BatchQueue, BatchQueueStatus } from '../api/batch-queue.ts';
import type { KubeObject } from '../ports.ts';

/**
 * The data that decisions are made of. No behaviour here: a reconcile turn gathers a `Snapshot`, `planQueue` turns it
 * into a `Plan`, and the interpreter carries the plan out.
 */

/** One SQS queue as the operator addresses it. The region is the ARN's; the URL is what SQS calls want. */
export interface QueueRef {
  readonly url: string;
  readonly arn: string;
}

export interface MessageAttribute {
  readonly dataType: string;
  readonly stringValue?: string;
  /** Base64. */
  readonly binaryValue?: string;
}

/** A message as one ReceiveMessage call returned it. */
export interface Message {
  readonly queue: QueueRef;
  readonly id: string;
  readonly body: string;
  /** Only the newest receipt handle of a message is dependable; never logged. */
  readonly receiptHandle: string;
  /** SQS's ApproximateReceiveCount; never smaller than the number of attempts made. */
  readonly receiveCount: number;
  /** Epoch ms at which the producer sent it. */
  readonly sentAtMs: number;
  /** Epoch ms at which the receive request *started*; SQS's twelve hours count from the receive. */
  readonly receivedAtMs: number;
  /** What that request asked for, in seconds. */
  readonly visibilityTimeoutSeconds: number;
  /** SQS system attributes, as strings. */
  readonly attributes: Readonly<Record<string, string>>;
  readonly messageAttributes: Readonly<Record<string, MessageAttribute>>;
}

/** A received message that has no Job yet. */
export interface InboxMessage extends Message {
  /** Until when (epoch ms) nobody else can receive it; in the past while a renewal is due; 0 once the lease is lost. */
  readonly trustedUntilMs: number;
}

/** What a Job remembers of a message: enough to renew and to settle after any restart. */
export interface LedgerMessage {
  readonly id: string;
  readonly receiptHandle: string;
  readonly receiveCount: number;
  readonly sentAtMs: number;
  readonly receivedAtMs: number;
}

/** The ledger annotation of a Job. */
export interface Ledger {
  readonly queue: QueueRef;
  /** Application attempts, from 1; not SQS's receive count. */
  readonly attempt: number;
  /** The visibility timeout that renewals ask for, in seconds. */
  readonly visibilityTimeoutSeconds: number;
  readonly messages: readonly LedgerMessage[];
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

/** What the contract container of a Job reported: exit code and the message it left. */
export interface WorkerResult {
  readonly exitCode?: number | undefined;
  /** CamelCase: the sysexits name of a contract code, or Kubernetes' own reason. */
  readonly reason: string;
  /** At most 1,024 characters. */
  readonly message: string;
}

/** The pods of one Job, as far as ending them and reading their result needs it. */
export interface PodsOfJob {
  /** Pods that have not ended and that nobody has asked to end. */
  readonly running: number;
  /** Pods that have been asked to end and have not ended. */
  readonly terminating: number;
  readonly result: WorkerResult | undefined;
}

/** What GetQueueAttributes says; all counts are approximate. */
export interface QueueAttributes {
  readonly arn: string;
  readonly visible: number;
  readonly inFlight: number;
  readonly delayed: number;
  readonly deadLetterArn: string | undefined;
  readonly maxReceiveCount: number | undefined;
}

/** A condition's reason (CamelCase) and message. */
export interface Problem {
  readonly reason: string;
  readonly message: string;
}

/** The observer's last word on a queue. */
export type QueueObservation =
  | { readonly kind: 'unknown' }
  | {
      readonly kind: 'reachable';
      readonly attributes: QueueAttributes;
      /** Messages in the dead-letter queue; undefined when there is none or it cannot be read. */
      readonly deadLetter: number | undefined;
      readonly observedAtMs: number;
    }
  | ({ readonly kind: 'unreachable' } & Problem);

/** The server's verdict on the Job template of a revision (a dry-run create). */
export type TemplateCheck =
  | { readonly kind: 'unknown' }
  | { readonly kind: 'valid' }
  /** Asked again after `recheckAtMs`, because a quota or a policy may have refused it. */
  | { readonly kind: 'invalid'; readonly message: string; readonly recheckAtMs: number };

/** A ControllerRevision of the queue. */
export interface Revision {
  readonly object: KubeObject;
  readonly number: number;
  /** Hash of the template, the identity of a revision. */
  readonly hash: string;
  readonly template: RevisionTemplate;
}

/** Everything of the spec that shapes a Job: what a revision keeps. */
export type RevisionTemplate = Pick<
  BatchQueue['spec'],
  'jobTemplate' | 'serviceAccountName' | 'storage' | 'imagePullSecret'
>;

/** Everything one decision may look at. */
export interface Snapshot {
  readonly nowMs: number;
  /** Undefined when the BatchQueue is gone or not yet seen; its Jobs are settled all the same. */
  readonly queue: BatchQueue | undefined;
  /** Problems of a BatchQueue that the schema let through; it starts nothing new. */
  readonly problems: readonly string[];
  readonly claims: readonly Claim[];
  readonly inbox: readonly InboxMessage[];
  readonly revisions: readonly Revision[];
  readonly observation: QueueObservation;
  /** Why the last receive failed, while it still does. */
  readonly receiveProblem: Problem | undefined;
  readonly templateCheck: TemplateCheck;
  /** Pods by Job name, for the claims that need it (see `needsPods`). */
  readonly pods: ReadonlyMap<string, PodsOfJob>;
  /** Why the last attempt to create a Job failed, while it still does. */
  readonly creationProblem: string | undefined;
}

/** One thing to do. Actions are independent: they may run in any order, and one failing spoils only itself. */
export type Action =
  | { readonly kind: 'createRevision'; readonly object: KubeObject }
  | { readonly kind: 'renumberRevision'; readonly revision: Revision; readonly number: number }
  | { readonly kind: 'deleteRevision'; readonly revision: Revision }
  | { readonly kind: 'checkTemplate'; readonly hash: string; readonly job: KubeObject }
  /** Create the Job that holds the message. */
  | { readonly kind: 'claim'; readonly message: InboxMessage; readonly job: KubeObject }
  /** The message came back while its Job lives: store the newest receipt handle. */
  | { readonly kind: 'adopt'; readonly message: InboxMessage; readonly claim: Claim; readonly ledger: Ledger }
  /** The message came back after its Job succeeded: delete it again. */
  | { readonly kind: 'discard'; readonly message: InboxMessage }
  /** Give back a message that gets no Job. */
  | {
      readonly kind: 'release';
      readonly message: InboxMessage;
      readonly delaySeconds: number;
      readonly reason: string;
    }
  /** Let go of a message whose lease has ended; SQS brings it back. */
  | { readonly kind: 'forget'; readonly message: InboxMessage }
  | Settle
  /** End the pods of a Job that somebody deletes. */
  | { readonly kind: 'stopPods'; readonly claim: Claim }
  /** Clean up a settled Job beyond the history limits. */
  | { readonly kind: 'deleteJob'; readonly claim: Claim };

/** SQS first, then the finalizer: a crash in between repeats the first step harmlessly. */
export interface Settle {
  readonly kind: 'settle';
  readonly claim: Claim;
  /** `abandon` drops the finalizer only: the ledger is unreadable and SQS's timeout returns the message. */
  readonly verdict: 'delete' | 'release' | 'abandon';
  readonly messages: readonly LedgerMessage[];
  readonly delaySeconds: number;
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
  /** Jobs that may still be started, not counting what is in the inbox. */
  readonly slots: number;
  readonly visibilityTimeoutSeconds: number;
}

/**
 * How a queue is occupied: messages are held (`working`), none are but receives are made (`polling`), or neither
 * (`waiting`: suspended, scaled to zero, not ready).
 */
export type Pace = 'working' | 'polling' | 'waiting';

export interface Plan {
  readonly actions: readonly Action[];
  readonly pace: Pace;
  /** Undefined: no poll may start. */
  readonly intake: IntakeTarget | undefined;
  /** Every lease that must be kept for the Jobs of this queue; the inbox keeps its own. */
  readonly leases: readonly Lease[];
  /** Undefined when there is no BatchQueue to write it to. */
  readonly status: BatchQueueStatus | undefined;
  /** Ask again after this many milliseconds even if nothing happens. */
  readonly requeueAfterMs: number | undefined;
}
