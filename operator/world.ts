/**
 * The world as loops see it: the narrow interfaces of SQS and Kubernetes that `sqs/` and `kube/` implement. Every
 * method rejects with an `OperatorError`; batch methods return one result per entry instead.
 */

import type { OperatorError } from './errors.ts';
import type { Message, MessageAttribute, QueueAttributes, QueueRef } from './plan/types.ts';
import type { KubeObject, Resource } from './ports.ts';

/** One entry of a batch call. `error.verdict` `lost` means that the lease had ended. */
export interface EntryResult {
  readonly id: string;
  readonly error: OperatorError | undefined;
}

/** A message as far as renewing and settling need it. */
export interface ReceiptEntry {
  readonly id: string;
  readonly receiptHandle: string;
}

export interface ReceiveOptions {
  /** 1..10, as SQS allows. */
  readonly max: number;
  readonly visibilityTimeoutSeconds: number;
  /** 0..20, as SQS allows. */
  readonly waitSeconds: number;
}

/** A rejected message on its way to the dead-letter queue. */
export interface DeadLetterCopy {
  readonly id: string;
  readonly body: string;
  readonly messageAttributes: Readonly<Record<string, MessageAttribute>>;
  /** On FIFO queues. */
  readonly groupId: string | undefined;
  /** Why it was rejected, in the worker's words. */
  readonly reason: string;
}

export interface MessageQueue {
  /** One long poll. Never aborted from outside: an aborted poll may swallow messages until their timeout. */
  receive(queue: QueueRef, options: ReceiveOptions): Promise<readonly Message[]>;
  /** Sets the time until each message is visible again, counted from now. Any number of entries. */
  changeVisibility(
    queue: QueueRef,
    entries: readonly ReceiptEntry[],
    seconds: number,
  ): Promise<readonly EntryResult[]>;
  /** The heartbeat's `changeVisibility`, over connections of its own, so that nothing else can delay it. */
  renew(queue: QueueRef, entries: readonly ReceiptEntry[], seconds: number): Promise<readonly EntryResult[]>;
  /** On a FIFO queue a delete after the visibility timeout is refused (`lost`); a standard queue answers success. */
  delete(queue: QueueRef, entries: readonly ReceiptEntry[]): Promise<readonly EntryResult[]>;
  /** Stores copies in the dead-letter queue of `queue`; an entry without error is stored. Sent twice, there may be two. */
  sendToDeadLetter(
    queue: QueueRef,
    deadLetterArn: string,
    copies: readonly DeadLetterCopy[],
  ): Promise<readonly EntryResult[]>;
  /** Attributes of the queue at this URL. */
  describe(url: string): Promise<QueueAttributes>;
  /** Messages in the dead-letter queue that belongs to the queue at `url`; undefined when it may not be read. */
  countDeadLetters(url: string, deadLetterArn: string): Promise<number | undefined>;
}

export interface PatchOptions {
  readonly type: 'merge' | 'json' | 'apply';
  readonly subresource?: 'status';
  readonly timeoutMs?: number;
}

/** The API server, as raw JSON. */
export interface KubeApi {
  get(resource: Resource, namespace: string, name: string): Promise<KubeObject | undefined>;
  list(
    resource: Resource,
    options: { namespace?: string; labelSelector?: string; fieldSelector?: string },
  ): Promise<{ items: KubeObject[]; resourceVersion: string }>;
  create(
    resource: Resource,
    namespace: string,
    body: KubeObject,
    options?: { dryRun?: boolean; timeoutMs?: number },
  ): Promise<KubeObject>;
  patch(
    resource: Resource,
    namespace: string,
    name: string,
    body: object,
    options: PatchOptions,
  ): Promise<KubeObject>;
  delete(
    resource: Resource,
    namespace: string,
    name: string,
    options?: {
      uid?: string;
      resourceVersion?: string;
      propagationPolicy?: 'Background' | 'Foreground' | 'Orphan';
    },
  ): Promise<void>;
}

/** A watched collection, with our own writes in it as soon as they are answered. */
export interface ObjectCache {
  get(namespace: string, name: string): KubeObject | undefined;
  list(): readonly KubeObject[];
  /** Objects under an index key; for Jobs, pods and revisions that is `namespace/batchqueue`. */
  byIndex(key: string): readonly KubeObject[];
  /** Read-your-writes: kept (true) unless something newer is there or the object is known to be deleted. */
  put(object: KubeObject): boolean;
  /** The same for a delete that the server has completed. */
  remove(object: KubeObject): void;
}

/** What users are told, and about which object. */
export interface UserEvent {
  readonly regarding: {
    readonly apiVersion: string;
    readonly kind: string;
    readonly name: string;
    readonly namespace: string;
    readonly uid: string;
  };
  readonly type: 'Normal' | 'Warning';
  /** CamelCase. */
  readonly reason: string;
  readonly note: string;
}

/** Where users see what happened. Never throws, never blocks. */
export interface Events {
  record(event: UserEvent): void;
}

export const JOBS: Resource = { group: 'batch', version: 'v1', plural: 'jobs' };
export const PODS: Resource = { group: '', version: 'v1', plural: 'pods' };
export const SECRETS: Resource = { group: '', version: 'v1', plural: 'secrets' };
export const EVENTS: Resource = { group: 'events.k8s.io', version: 'v1', plural: 'events' };
export const REVISIONS: Resource = { group: 'apps', version: 'v1', plural: 'controllerrevisions' };
export const BATCH_QUEUES: Resource = { group: 'batchqueue.io', version: 'v1alpha1', plural: 'batchqueues' };
