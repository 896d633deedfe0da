import type { MessageAttribute, QueueRef } from '../../operator/plan/message.ts';
import type { Clock } from '../../operator/ports.ts';
import type { MessageQueue } from '../../operator/world.ts';

/** Whatever says that it behaves like SQS: AWS, an emulator behind the real adapter, or a model of SQS. */
export type SubjectName = 'aws' | 'fauxqs' | 'local-aws-sqs' | 'moto' | 'ModelQueue';

/** What a case may need and a model may leave out; an endpoint has everything. */
export type Feature =
  | 'attributes'
  | 'dead letters'
  | 'FIFO'
  /** Sizes, characters and ranges that SQS refuses. */
  | 'limits'
  /** Queues that are gone or purged. */
  | 'administration';

export const ALL_FEATURES: ReadonlySet<Feature> = new Set([
  'attributes',
  'dead letters',
  'FIFO',
  'limits',
  'administration',
]);

export interface QueueSpec {
  readonly fifo?: boolean;
  /** The queue's own default timeout, in seconds; receives ask for theirs. */
  readonly visibilityTimeoutSeconds?: number;
  /** Its dead-letter queue, and after how many receives a message goes there. */
  readonly redrive?: { readonly deadLetterArn: string; readonly maxReceiveCount: number };
  readonly retentionSeconds?: number;
  readonly maximumMessageSize?: number;
}

export interface OutgoingMessage {
  readonly body: string;
  readonly groupId?: string;
  readonly deduplicationId?: string;
  readonly delaySeconds?: number;
  readonly traceHeader?: string;
  readonly messageAttributes?: Readonly<Record<string, MessageAttribute>>;
}

/** One delivery of a message. */
export interface Delivery {
  readonly id: string;
  readonly receiptHandle: string;
}

/**
 * The factory's product: the port under test, and what only tests ask of SQS. To hold a model to the suite, implement
 * this around it and call `conformanceSuite` in a test file of its own (`subjects/model-queue.ts` is an example): the
 * model's queues by `QueueRef`, its clock, and the features it has.
 */
export interface Subject {
  readonly name: SubjectName;
  readonly port: MessageQueue;
  readonly features: ReadonlySet<Feature>;
  /** The time that the subject lives in: cases wait by it and measure with it. */
  readonly clock: Clock;
  /** How long something that SQS promises only eventually may take, in milliseconds. */
  readonly patienceMs: number;
  createQueue(spec: QueueSpec): Promise<QueueRef>;
  deleteQueue(queue: QueueRef): Promise<void>;
  purge(queue: QueueRef): Promise<void>;
  /** Resolves with the message's id; rejects when it is refused. */
  send(queue: QueueRef, message: OutgoingMessage): Promise<string>;
  /** Receives twice with one ReceiveRequestAttemptId, as after a lost answer. FIFO only. */
  receiveRepeatedly(queue: QueueRef): Promise<readonly (readonly Delivery[])[]>;
  /** Removes everything it has made. */
  stop(): Promise<void>;
}
