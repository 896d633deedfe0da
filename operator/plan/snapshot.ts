import type { BatchQueue } from '../api/batch-queue.ts';
import type { KubeObject } from '../ports.ts';
import type { CreationMemory } from './creation-refusal.ts';
import type { HoldMemory } from './intake-hold.ts';
import type { Claim, PodsOfJob } from './job-facts.ts';
import type { InboxMessage } from './message.ts';
import type { ClaimAction, Settle } from './plan.ts';
import type { Preflight } from './preflight.ts';
import type { Problem } from './problem.ts';
import type { Revision } from './revision-facts.ts';
import type { StartEvents } from './start-facts.ts';

/** What a reconcile turn gathers before it decides: no behaviour, and nothing that is not here may influence a plan. */

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

/** What was seen of a dead-letter queue. `unseen`: it cannot be read, which says nothing about it. */
export type DeadLetterQueue =
  | { readonly kind: 'unseen' | 'missing' }
  | ({ readonly kind: 'seen' } & Pick<QueueAttributes, 'visible' | 'retentionSeconds' | 'fifo'>);

/** The observer's last word on a queue. */
export type QueueObservation =
  | { readonly kind: 'unknown' }
  | {
      readonly kind: 'reachable';
      readonly attributes: QueueAttributes;
      /** Undefined: there is none. */
      readonly deadLetter: DeadLetterQueue | undefined;
      readonly observedAtMs: number;
    }
  | ({ readonly kind: 'unreachable' } & Problem);

/** What the queue's reader may do with messages after receiving them. */
export interface KnownRights {
  /** False: not looked at yet. Nothing is received before that. */
  readonly isTried: boolean;
  /** A right that every message needs is missing. */
  readonly missing: Problem | undefined;
  /** Rejected messages cannot be copied to the dead-letter queue. */
  readonly copying: Problem | undefined;
}

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

/** A create that was sent and never answered, and that reading did not resolve: it may still arrive. */
export interface UnconfirmedClaim {
  readonly action: ClaimAction;
  /** When it was last sent, epoch ms. */
  readonly sentAtMs: number;
}

/** Whether waiting for a fuller batch makes sense: is a poll under way, and did the one before it come back full? */
export type Arrivals = 'none' | 'possible' | 'likely';

/** What the polls of a queue have told about what is not in it, epoch ms. */
export interface Polls {
  /** Every poll that was sent since then has been answered. */
  readonly answeredSinceMs: number;
  /** When the last one began that brought nothing, with no other beside it; 0: none has. */
  readonly emptyAtMs: number;
}

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
  /** Creates that an earlier plan asked for and that are not answered yet. */
  readonly underWay: readonly ClaimAction[];
  /** Settlements that an earlier plan asked for and that are not done yet. */
  readonly settling: readonly Settle[];
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
  readonly polls: Polls;
  readonly rights: KnownRights;
  readonly templateCheck: TemplateCheck;
  /** What was found about the things that a Job needs. */
  readonly preflight: Preflight;
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
