import type { BatchQueueStatus } from '../api/batch-queue.ts';
import { API_GROUP, API_VERSION, KIND } from '../api/names.ts';
import type { Clock, Fence, KubeObject, Log } from '../ports.ts';
import type { EntryResult, Events, KubeApi, MessageQueue, ObjectCache } from '../world.ts';
import type { Heartbeat } from './heartbeat.ts';
import type { PreflightCheck } from './preflight.ts';
import type { QueueSession } from './queue-session.ts';
import type { QueueUsers } from './queue-users.ts';

/** Everything that carrying out a plan may touch. */
export interface World {
  readonly kube: KubeApi;
  readonly queue: MessageQueue;
  readonly heartbeat: Heartbeat;
  readonly queueUsers: QueueUsers;
  /** Undefined: this process is alone. */
  readonly fence?: Fence | undefined;
  readonly events: Events;
  /** What is looked at before the first message of a BatchQueue is received. */
  readonly checks: readonly PreflightCheck[];
  readonly clock: Clock;
  readonly log: Log;
  readonly caches: {
    readonly batchQueues: ObjectCache;
    /** Indexed by `namespace/batchqueue`. */
    readonly jobs: ObjectCache;
    /** Of the Jobs, stripped to what decisions read; indexed by `namespace/batchqueue`. */
    readonly pods: ObjectCache;
    /** Indexed by `namespace/batchqueue`. */
    readonly revisions: ObjectCache;
  };
}

/** Whose plan is carried out. */
export interface Subject {
  readonly namespace: string;
  readonly name: string;
  readonly session: QueueSession;
  /** What events are about; undefined when the BatchQueue is gone. */
  readonly object: KubeObject | undefined;
  /** The status as it was observed. */
  readonly status: BatchQueueStatus;
}

/** Tells the user, if there is still a BatchQueue to tell it on. */
export function tell(subject: Subject, world: World, event: Happening): void {
  if (!subject.object) return;
  const { namespace, name } = subject;
  const regarding = {
    apiVersion: `${API_GROUP}/${API_VERSION}`,
    kind: KIND,
    namespace,
    name,
    uid: subject.object.metadata.uid ?? '',
  };
  world.events.record({ regarding, type: event.type ?? 'Normal', reason: event.reason, note: event.note });
}

export interface Happening {
  readonly type?: 'Normal' | 'Warning';
  readonly reason: string;
  readonly note: string;
}

/** Throws the first error that is not a lost lease: a lease that is gone means that SQS has the message again. */
export function assertSettled(results: readonly EntryResult[]): void {
  const failed = results.find(({ error }) => error && error.verdict !== 'lost');
  if (failed?.error) throw failed.error;
}
