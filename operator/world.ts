/**
 * The world as loops see it: the narrow interfaces of SQS and Kubernetes that `sqs/` and `kube/` implement. Every
 * method rejects with an `OperatorError`; batch methods return one result per entry instead.
 */

import type { EcrHost } from './api/ecr-host.ts';
import type { ImageReference } from './api/image-reference.ts';
import type { OperatorError } from './errors.ts';
import type { Message, QueueRef } from './plan/message.ts';
import type { QueueReader } from './plan/queue-reader.ts';
import type { ResolvedImage } from './plan/resolved-images.ts';
import type { QueueAttributes } from './plan/snapshot.ts';
import type { KubeObject, Resource } from './ports.ts';

/**
 * One entry of a batch call. `error.verdict` `lost` means that the lease had ended and nothing was done; on standard
 * queues SQS says so only of changes of visibility, and answers a delete that came too late with success.
 */
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

/** A rejected message as the dead-letter queue gets it; a `Message` has the first four. */
export interface DeadLetterCopy extends Pick<Message, 'id' | 'body' | 'attributes' | 'messageAttributes'> {
  /** Why it was rejected; cut to 1,024 characters. */
  readonly reason: string;
  /** Name of the Job that rejected it. */
  readonly job: string;
}

/**
 * SQS. Every request may be repeated without asking first whether an earlier one was carried out, so that no error here
 * has `outcomeUnknown`: a timeout set twice counts from the second time, a message that is gone is deleted with success,
 * and what a receive took without our hearing of it comes back by itself. A copy sent twice may be stored twice (never
 * within five minutes on FIFO queues); each tells the id of the message it is a copy of.
 *
 * Batch calls take any number of entries and answer one result per entry, in order; they do not reject. What fails as a
 * whole fails each of its entries.
 */
export interface MessageQueue {
  /**
   * One long poll. Never aborted from outside: an aborted poll may swallow messages until their timeout. On a FIFO queue
   * the next receive after one whose answer was lost repeats that one, so that a lost answer does not lock its groups;
   * `receivedAtMs` is then the start of the first of them, from which SQS may have counted.
   */
  receive(queue: QueueRef, options: ReceiveOptions): Promise<readonly Message[]>;
  /** Sets the time until each message is visible again, counted from now. On FIFO queues in the order given. */
  changeVisibility(
    queue: QueueRef,
    entries: readonly ReceiptEntry[],
    seconds: number,
  ): Promise<readonly EntryResult[]>;
  /** The heartbeat's `changeVisibility`, over connections of its own, so that nothing else can delay it. */
  renew(queue: QueueRef, entries: readonly ReceiptEntry[], seconds: number): Promise<readonly EntryResult[]>;
  /** On FIFO queues in the order given; a handle that has expired is `lost` there, and the message is still in the queue. */
  delete(queue: QueueRef, entries: readonly ReceiptEntry[]): Promise<readonly EntryResult[]>;
  /**
   * Copies rejected messages to the dead-letter queue of `queue`, whole and with as much about their rejection as SQS's
   * ten attributes leave room for. A message may be deleted from `queue` once its entry has no error: then SQS has said
   * that the copy is stored.
   */
  sendToDeadLetter(
    queue: QueueRef,
    deadLetterArn: string,
    copies: readonly DeadLetterCopy[],
  ): Promise<readonly EntryResult[]>;
  /** Attributes of the queue that this reader names; for a dead-letter queue see `deadLetterUrl`. */
  describe(reader: QueueReader): Promise<QueueAttributes>;
  /** Asks for it with a receipt handle of no message, which changes nothing; rejects when it is not granted. */
  tryRight(reader: QueueReader, right: TriedRight): Promise<void>;
}

/** What is needed of a queue long after its messages were received. */
export const TRIED_RIGHTS = ['ChangeMessageVisibility', 'DeleteMessage'] as const;
export type TriedRight = (typeof TRIED_RIGHTS)[number];

/** How a queue is read. */
export type ReaderState =
  /** With the operator's own identity, as the installer says. */
  | { readonly kind: 'operator' }
  | {
      readonly kind: 'role';
      /** Of the ServiceAccount; undefined: nothing can be asked in its name now. */
      readonly roleArn: string | undefined;
      /** Why it is so; or, with a role, why its credentials can not be renewed: they are used while they last. */
      readonly problem: OperatorError | undefined;
    };

/** Whose rights readers of queues have. */
export interface QueueReaders {
  /** Looks at it anew, unless somebody just did. Never rejects. */
  check(reader: QueueReader): Promise<ReaderState>;
}

/** An image in a private registry of ECR. */
export interface EcrImage extends ImageReference {
  readonly ecr: EcrHost;
}

/** Lets its bearer pull what one role may pull, from every registry of a region. Never in logs, events or status. */
export interface PullToken {
  readonly username: string;
  readonly password: string;
  readonly expiresAtMs: number;
}

/** ECR, asked with the rights of whoever reads the queue. Reads only; methods reject with an `OperatorError`. */
export interface ImageRegistry {
  /**
   * What the reference means now. `ImageNotFound`, `RepositoryNotFound`, `ImageArchived` and `ImageActivating`: no node
   * can pull it. Other errors say nothing about that.
   */
  resolve(image: EcrImage, reader: QueueReader): Promise<ResolvedImage>;
  /** Whether the registry still has this digest; true when it would not tell. */
  has(image: EcrImage, digest: string, reader: QueueReader): Promise<boolean>;
  /** A token for every registry of the host's region. */
  pullToken(host: EcrHost, reader: QueueReader): Promise<PullToken>;
}

export interface PatchOptions {
  /** `strategic` costs the server least with large objects, which it need not turn into JSON; for built-in kinds only. */
  readonly type: 'merge' | 'strategic' | 'json' | 'apply';
  readonly subresource?: 'status';
  readonly timeoutMs?: number;
  /** `metadata`: nothing else of the answer will be looked at, so a server may leave it out. Default `object`. */
  readonly answer?: 'object' | 'metadata';
}

/** The API server, as raw JSON. */
export interface KubeApi {
  /** `namespace` undefined: a resource without namespaces. */
  get(resource: Resource, namespace: string | undefined, name: string): Promise<KubeObject | undefined>;
  list(
    resource: Resource,
    options: { namespace?: string; labelSelector?: string; fieldSelector?: string },
  ): Promise<{ items: KubeObject[]; resourceVersion: string }>;
  create(
    resource: Resource,
    namespace: string,
    body: KubeObject,
    options?: { dryRun?: boolean; timeoutMs?: number; answer?: 'object' | 'metadata' },
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
  /** Objects under an index key; for Jobs, pods and revisions that is `namespace/batchqueue`. The same array until one changes. */
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

export const SERVICE_ACCOUNTS: Resource = { group: '', version: 'v1', plural: 'serviceaccounts' };
export const JOBS: Resource = { group: 'batch', version: 'v1', plural: 'jobs' };
export const PODS: Resource = { group: '', version: 'v1', plural: 'pods' };
export const NODES: Resource = { group: '', version: 'v1', plural: 'nodes' };
export const SECRETS: Resource = { group: '', version: 'v1', plural: 'secrets' };
export const VOLUME_CLAIMS: Resource = { group: '', version: 'v1', plural: 'persistentvolumeclaims' };
export const VOLUMES: Resource = { group: '', version: 'v1', plural: 'persistentvolumes' };
export const STORAGE_CLASSES: Resource = { group: 'storage.k8s.io', version: 'v1', plural: 'storageclasses' };
export const CSI_DRIVERS: Resource = { group: 'storage.k8s.io', version: 'v1', plural: 'csidrivers' };
export const CSI_NODES: Resource = { group: 'storage.k8s.io', version: 'v1', plural: 'csinodes' };
export const EVENTS: Resource = { group: 'events.k8s.io', version: 'v1', plural: 'events' };
export const REVISIONS: Resource = { group: 'apps', version: 'v1', plural: 'controllerrevisions' };
export const BATCH_QUEUES: Resource = { group: 'batchqueue.io', version: 'v1alpha1', plural: 'batchqueues' };
