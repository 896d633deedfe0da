import type { BatchQueue, BatchQueueStatus } from '../api/batch-queue.ts';
import type { KubeObject } from '../ports.ts';
import type { CreationMemory } from './creation-refusal.ts';
import type { HoldMemory } from './intake-hold.ts';

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
  readonly stringValue?: string | undefined;
  /** Base64. */
  readonly binaryValue?: string | undefined;
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
  /** Epoch ms at which its answer arrived: a consistent list begun later shows every Job made for an earlier receive. */
  readonly arrivedAtMs: number;
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
  /** On FIFO queues: the message group, and the number that orders it within the group. */
  readonly groupId?: string | undefined;
  readonly sequenceNumber?: string | undefined;
  /** FIFO only: a delete was refused because the receipt handle had expired; it stays owed until the message comes again. */
  readonly handleExpired?: boolean | undefined;
}

/** The ledger annotation of a Job. */
export interface Ledger {
  readonly queue: QueueRef;
  /** Application attempts, from 1; not SQS's receive count. */
  readonly attempt: number;
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
}

/** A warning that Kubernetes told about a Job or a pod. */
export interface StartEvent {
  readonly reason: string;
  readonly note: string;
  readonly lastSeenMs: number;
}

/** The warnings about one object, as they were read. */
export interface StartEvents {
  readonly readAtMs: number;
  readonly events: readonly StartEvent[];
}

/** Of what the events would explain why a Job does not start. */
export interface EventSubject {
  readonly kind: 'Job' | 'Pod';
  readonly name: string;
  readonly uid: string;
}

/** What GetQueueAttributes says; all counts are approximate. */
export interface QueueAttributes {
  readonly arn: string;
  readonly visible: number;
  readonly inFlight: number;
  readonly delayed: number;
  readonly deadLetterArn: string | undefined;
  readonly maxReceiveCount: number | undefined;
  /** How long SQS keeps a message from when it was sent, in seconds. */
  readonly retentionSeconds: number;
  readonly fifo: boolean;
  /** Id, alias or ARN of the customer's key the queue is encrypted with; undefined when it needs no permission. */
  readonly kmsKeyId: string | undefined;
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
  | {
      readonly kind: 'invalid';
      /** Default `TemplateRefused`. */
      readonly reason?: string;
      readonly message: string;
      readonly recheckAtMs: number;
    };

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

/** A create that was sent and never answered, and that reading did not resolve: it may still arrive. */
export interface UnconfirmedClaim {
  readonly action: ClaimAction;
  /** When it was last sent, epoch ms. */
  readonly sentAtMs: number;
}

/** Whether waiting for a fuller batch makes sense: is a poll under way, and did the one before it come back full? */
export type Arrivals = 'none' | 'possible' | 'likely';

/** Everything one decision may look at. */
export interface Snapshot {
  readonly nowMs: number;
  /** Undefined when the BatchQueue is gone, not yet seen, or not valid; its Jobs are settled all the same. */
  readonly queue: BatchQueue | undefined;
  /** There is no BatchQueue, or it is being deleted. */
  readonly isGone: boolean;
  /** Problems of a BatchQueue that the schema let through; it starts nothing new. */
  readonly problems: readonly string[];
  readonly claims: readonly Claim[];
  readonly inbox: readonly InboxMessage[];
  readonly arrivals: Arrivals;
  readonly unconfirmed: readonly UnconfirmedClaim[];
  /** When the last consistent list of this queue's Jobs began, epoch ms; 0: never. */
  readonly jobsListedAtMs: number;
  /** When to look for payload Secrets that no Job uses, epoch ms; undefined: no reason to. */
  readonly sweepAtMs: number | undefined;
  readonly revisions: readonly Revision[];
  readonly observation: QueueObservation;
  /** The older BatchQueue (`namespace/name`) on the same SQS queue, which alone may poll it; undefined: there is none. */
  readonly queueInUseBy: string | undefined;
  /** Why the last receive failed, while it still does. */
  readonly receiveProblem: Problem | undefined;
  readonly templateCheck: TemplateCheck;
  /** Pods by Job name, for the claims that need it (see `needsPods`). */
  readonly pods: ReadonlyMap<string, PodsOfJob>;
  /** Every pod of the queue's Jobs, stripped to what decisions read. */
  readonly jobPods: readonly KubeObject[];
  /** What Kubernetes told about Jobs and pods that take long to start, by their uid. */
  readonly startEvents: ReadonlyMap<string, StartEvents>;
  /** Creates that the API server has refused. */
  readonly creations: CreationMemory;
  /** What held intake at the end of the last turn. */
  readonly holdMemory: HoldMemory | undefined;
}

/** One thing to do. Actions are independent: they may run in any order, and one failing spoils only itself. */
export type Action =
  | { readonly kind: 'createRevision'; readonly object: KubeObject }
  | { readonly kind: 'renumberRevision'; readonly revision: Revision; readonly number: number }
  | { readonly kind: 'deleteRevision'; readonly revision: Revision }
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

/** Both make a Job. */
export type CreateAction = ClaimAction | RerunAction;

/** Create the next run of an attempt that an infrastructure fault has ended. */
export interface RerunAction {
  readonly kind: 'rerun';
  readonly claim: Claim;
  readonly job: KubeObject;
  /** Deliveries since then, whose receipt handles the new Job holds. */
  readonly redelivered: readonly InboxMessage[];
}

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
