/** Test data: every builder gives something valid and ordinary, and takes what a test is about. */

import {
  type BatchQueue,
  type BatchQueueSpec,
  batchQueueSpecSchema,
} from '../../operator/api/batch-queue.ts';
import { FINALIZER_SETTLEMENT } from '../../operator/api/names.ts';
import { deadLetterUrl } from '../../operator/api/queue-url.ts';
import { claimFrom } from '../../operator/plan/claim.ts';
import { NO_REFUSALS } from '../../operator/plan/creation-refusal.ts';
import { isoSeconds } from '../../operator/plan/iso-time.ts';
import { buildJob } from '../../operator/plan/job.ts';
import type { Claim, Ledger } from '../../operator/plan/job-facts.ts';
import type { DispatchContext } from '../../operator/plan/judged-message.ts';
import { ledgerOf } from '../../operator/plan/ledger.ts';
import type { InboxMessage, Message, QueueRef } from '../../operator/plan/message.ts';
import { buildMessagesFile } from '../../operator/plan/messages-file.ts';
import { ownerReference } from '../../operator/plan/owner.ts';
import { hashTemplate, templateOf } from '../../operator/plan/revision.ts';
import type { Revision } from '../../operator/plan/revision-facts.ts';
import type {
  DeadLetterQueue,
  QueueAttributes,
  QueueObservation,
  Snapshot,
} from '../../operator/plan/snapshot.ts';
import type { KubeObject, ObjectMeta } from '../../operator/ports.ts';

/** The moment that builders call now. */
export const NOW_MS = Date.UTC(2026, 0, 1, 12);

export const QUEUE: QueueRef = {
  namespace: 'shop',
  serviceAccountName: 'default',
  url: 'https://sqs.us-east-1.amazonaws.com/123456789012/orders',
  arn: 'arn:aws:sqs:us-east-1:123456789012:orders',
};

export const DEAD_LETTER_ARN = 'arn:aws:sqs:us-east-1:123456789012:orders-dlq';
export const DEAD_LETTER_URL = deadLetterUrl(QUEUE.url, DEAD_LETTER_ARN);

export const MESSAGE_ID = '11111111-1111-4111-8111-111111111111';

/** A message id per number. */
export function messageId(number: number): string {
  return `00000000-0000-4000-8000-${String(number).padStart(12, '0')}`;
}

interface QueueParts {
  readonly metadata?: Partial<ObjectMeta>;
  readonly spec?: Partial<Record<keyof BatchQueueSpec, unknown>>;
  /** Fields of the pod spec. */
  readonly pod?: object;
  readonly podMetadata?: object;
  readonly image?: string;
  readonly status?: BatchQueue['status'];
}

/** A BatchQueue that passed validation, every default applied. */
export function aQueue({
  metadata,
  spec,
  pod,
  podMetadata,
  image = 'worker:1',
  status,
}: QueueParts = {}): BatchQueue {
  const template = {
    ...(podMetadata && { metadata: podMetadata }),
    spec: { containers: [{ name: 'worker', image }], ...pod },
  };
  return {
    metadata: { name: 'orders', namespace: 'shop', uid: 'queue-uid', generation: 1, ...metadata },
    spec: batchQueueSpecSchema.parse({
      queue: { url: QUEUE.url },
      jobTemplate: { spec: { template } },
      ...spec,
    }),
    ...(status && { status }),
  };
}

/** The ControllerRevision of a queue's template. */
export function aRevision(queue: BatchQueue = aQueue(), number = 1): Revision {
  const template = templateOf(queue);
  const hash = hashTemplate(template);
  const object: KubeObject = {
    apiVersion: 'apps/v1',
    kind: 'ControllerRevision',
    metadata: {
      name: `${queue.metadata.name}-${hash}`,
      namespace: queue.metadata.namespace ?? 'default',
      ownerReferences: [ownerReference(queue)],
    },
    data: { template },
    revision: number,
  };
  return { object, number, hash, template };
}

/** A message received five seconds ago for the first time. */
export function aMessage(parts: Partial<Message> = {}): Message {
  const { id = MESSAGE_ID, receiveCount = 1 } = parts;
  return {
    queue: QUEUE,
    id,
    body: '{"input":"in/a.csv"}',
    receiptHandle: `receipt-${id}-${receiveCount}`,
    receiveCount,
    sentAtMs: NOW_MS - 60_000,
    receivedAtMs: NOW_MS - 5_000,
    arrivedAtMs: NOW_MS - 4_990,
    visibilityTimeoutSeconds: 300,
    attributes: { SentTimestamp: String(NOW_MS - 60_000), ApproximateReceiveCount: String(receiveCount) },
    messageAttributes: {},
    ...parts,
  };
}

/** The same in the inbox, with a lease that holds for minutes. */
export function anInboxMessage(parts: Partial<InboxMessage> = {}): InboxMessage {
  return { trustedUntilMs: NOW_MS + 294_000, ...aMessage(parts) };
}

export interface ClaimParts {
  readonly queue?: BatchQueue;
  readonly revision?: number;
  readonly message?: Partial<Message>;
  /** Instead of `message`, for a Job with several. */
  readonly messages?: readonly Message[];
  readonly attempt?: number;
  readonly run?: number;
  /** Of the ledger: messages settled already. */
  readonly fates?: Partial<Pick<Ledger, 'deleted' | 'released' | 'rejected'>>;
  /** `completedIndexes` and `failedIndexes` of the Job's status. */
  readonly completedIndexes?: string;
  readonly failedIndexes?: string;
  readonly outcome?: Claim['outcome'];
  readonly settled?: boolean;
  readonly deleting?: boolean;
  readonly running?: boolean;
  readonly finishedAtMs?: number;
  readonly failure?: { readonly reason: string; readonly message: string };
  readonly annotations?: Record<string, string>;
  readonly name?: string;
}

/** The Job of a claim as the API server would show it. */
export function aJob(parts: ClaimParts = {}): KubeObject {
  const { queue = aQueue(), attempt = 1, run = 1, revision = 1 } = parts;
  const messages = parts.messages ?? [aMessage(parts.message)];
  const job = buildJob({
    queue,
    revision: aRevision(queue, revision),
    ledger: { ...ledgerOf(messages, { attempt, run, visibilityTimeoutSeconds: 300 }), ...parts.fates },
    payload: { inline: buildMessagesFile(messages, attempt), secrets: [] },
    traceparent: undefined,
  });
  return {
    ...job,
    metadata: {
      ...job.metadata,
      ...metadataAsServed(parts, job),
    },
    status: { ...jobStatus(parts), ...indexStatus(parts) },
  };
}

function metadataAsServed(parts: ClaimParts, { metadata }: KubeObject): ObjectMeta {
  const { name = metadata.name, settled = false, deleting = false } = parts;
  return {
    name,
    uid: `uid-${name}`,
    resourceVersion: '7',
    creationTimestamp: isoSeconds(NOW_MS - 4_000),
    annotations: { ...metadata.annotations, ...parts.annotations },
    finalizers: settled ? [] : [FINALIZER_SETTLEMENT],
    ...(deleting && { deletionTimestamp: isoSeconds(NOW_MS - 1_000) }),
  };
}

function indexStatus({ completedIndexes, failedIndexes }: ClaimParts): object {
  return {
    ...(completedIndexes !== undefined && { completedIndexes }),
    ...(failedIndexes !== undefined && { failedIndexes }),
  };
}

function jobStatus({
  outcome = 'active',
  running = false,
  failure,
  finishedAtMs = NOW_MS - 2_000,
}: ClaimParts): object {
  const startTime = isoSeconds(NOW_MS - 4_000);
  const time = isoSeconds(finishedAtMs);
  if (outcome === 'active') return { startTime, ready: running ? 1 : 0 };
  if (outcome === 'succeeded') {
    return { startTime, completionTime: time, conditions: [{ type: 'Complete', status: 'True' }] };
  }
  const { reason, message } = failure ?? {
    reason: 'BackoffLimitExceeded',
    message: 'Job has reached the limit',
  };
  return {
    startTime,
    conditions: [{ type: 'Failed', status: 'True', reason, message, lastTransitionTime: time }],
  };
}

/** A claim read from such a Job. */
export function aClaim(parts: ClaimParts = {}): Claim {
  return claimFrom(aJob(parts));
}

export function attributesOf(parts: Partial<QueueAttributes> = {}): QueueAttributes {
  return {
    arn: QUEUE.arn,
    visible: 0,
    inFlight: 0,
    delayed: 0,
    deadLetterArn: DEAD_LETTER_ARN,
    maxReceiveCount: 4,
    retentionSeconds: 345_600,
    fifo: false,
    kmsKeyId: undefined,
    ...parts,
  };
}

/** A queue that answered a second ago. */
export function reachable(
  parts: Partial<QueueAttributes> = {},
  observedAtMs = NOW_MS - 1_000,
  deadLetter: DeadLetterQueue | undefined = seenDeadLetters(0),
): QueueObservation {
  return { kind: 'reachable', attributes: attributesOf(parts), deadLetter, observedAtMs };
}

/** A dead-letter queue that keeps so many messages for as long as SQS can. */
export function seenDeadLetters(
  visible: number,
  parts: Partial<QueueAttributes> = {},
): Extract<DeadLetterQueue, { kind: 'seen' }> {
  return { kind: 'seen', visible, retentionSeconds: 1_209_600, fifo: false, ...parts };
}

/** A BatchQueue at rest: reachable, its revision made and checked, nothing received, no Jobs. */
export function aSnapshot(parts: Partial<Snapshot> = {}): Snapshot {
  const queue = 'queue' in parts ? parts.queue : aQueue();
  return {
    nowMs: NOW_MS,
    queue,
    isGone: queue === undefined || queue.metadata.deletionTimestamp !== undefined,
    problems: [],
    claims: [],
    inbox: [],
    arrivals: 'none',
    underWay: [],
    settling: [],
    unconfirmed: [],
    jobsListedAtMs: NOW_MS,
    sweepAtMs: undefined,
    revisions: queue ? [aRevision(queue)] : [],
    observation: reachable(),
    queueInUseBy: undefined,
    receiveProblem: undefined,
    polls: { answeredSinceMs: NOW_MS, emptyAtMs: 0 },
    rights: { isTried: true, missing: undefined, copying: undefined },
    templateCheck: { kind: 'valid' },
    preflight: {},
    pods: new Map(),
    jobPods: [],
    startEvents: new Map(),
    creations: NO_REFUSALS,
    holdMemory: undefined,
    ...parts,
  };
}

/** For dispatching messages of a BatchQueue that has ten free slots and no Job. */
export function aDispatchContext(parts: Partial<DispatchContext> = {}): DispatchContext {
  return {
    nowMs: NOW_MS,
    queue: aQueue(),
    isGone: false,
    revision: aRevision(),
    claims: [],
    slots: 10,
    arrivals: 'none',
    underWay: [],
    unconfirmed: [],
    jobsListedAtMs: NOW_MS,
    ...parts,
  };
}
