/**
 * The status of a BatchQueue: what `kubectl get` and `kubectl describe` answer with. Nothing here is a source of truth;
 * all of it can be recomputed from the queue and the Jobs. Every string and list is bounded so that a status always fits.
 */

import { z } from 'zod';

/** How many of the newest runs `recentRuns` keeps. */
export const MAX_RECENT_RUNS = 10;
/** How many message ids `lastFailure` names; `messageCount` has the true number. */
export const MAX_FAILURE_MESSAGE_IDS = 10;
/** Longest free text in `lastFailure.message`, in characters; longer text is refused by the API server, so cut before writing. */
export const MAX_FAILURE_MESSAGE_LENGTH = 1024;

const count = z.int().min(0).max(Number.MAX_SAFE_INTEGER);
const instant = z.string().max(64).meta({ format: 'date-time' });
const word = z.string().max(256);
const objectName = z.string().max(253);
/** SQS message ids are UUIDs; emulators may use longer ones. SQS allows 100 characters where a client names one. */
const messageId = z.string().max(100);

/** One condition as `metav1.Condition` defines it, with the same limits. */
const conditionSchema = z.object({
  type: z.string().min(1).max(316),
  status: z.enum(['True', 'False', 'Unknown']),
  observedGeneration: count.optional(),
  lastTransitionTime: instant,
  reason: z.string().min(1).max(1024),
  message: z.string().max(32768),
});

const queueStatusSchema = z.object({
  arn: word.optional().describe('ARN of the queue, as SQS reports it.'),
  visible: count.optional().describe('Messages waiting to be received (approximate).'),
  inFlight: count.optional().describe('Messages received and not yet deleted or given back (approximate).'),
  delayed: count.optional().describe('Messages that SQS still holds back (approximate).'),
  deadLetterArn: word.optional().describe('ARN of the dead-letter queue that the redrive policy names.'),
  deadLetter: count.optional().describe('Messages in the dead-letter queue (approximate).'),
  maxReceiveCount: count
    .optional()
    .describe('Receives after which SQS moves a message to the dead-letter queue.'),
  observedTime: instant
    .optional()
    .describe('When these figures were read; moves only together with another one.'),
});

const jobsStatusSchema = z.object({
  active: count.optional().describe('Jobs that hold a message and are not settled.'),
  pending: count.optional().describe('Active Jobs whose pod does not run yet.'),
  running: count.optional().describe('Active Jobs whose pod runs.'),
  oldestMessageTime: instant.optional().describe('When the oldest message held by a Job was sent.'),
});

const lastFailureSchema = z.object({
  time: instant.optional(),
  job: objectName.optional().describe('Name of the Job that failed.'),
  messageIds: z
    .array(messageId)
    .max(MAX_FAILURE_MESSAGE_IDS)
    .optional()
    .describe('The first 10 messages of that Job.'),
  messageCount: count.optional().describe('How many messages that Job held.'),
  reason: word.optional().describe('Why it failed, one word.'),
  exitCode: z.int().min(-2147483648).max(2147483647).optional().describe('Exit code of the worker.'),
  message: z.string().max(MAX_FAILURE_MESSAGE_LENGTH).optional().describe('Why it failed, in words.'),
});

const runSchema = z.object({
  job: objectName,
  messageId: messageId.optional().describe('Of the first message, where the Job held several.'),
  messageCount: count.optional(),
  attempt: count.optional(),
  run: count.optional().describe('Above 1 after infrastructure faults within the attempt.'),
  revision: count.optional(),
  outcome: word.optional(),
  startTime: instant.optional(),
  completionTime: instant.optional(),
  reason: word.optional(),
  message: word.optional().describe("The worker's own words, shortened."),
});

/** How many blocked message groups `blockedGroups` names. */
export const MAX_BLOCKED_GROUPS = 10;

const blockedGroupSchema = z.object({
  group: z.string().max(128).describe('The MessageGroupId.'),
  messageId: messageId.optional().describe('The message that the others wait for.'),
  attempt: count.optional().describe('How often it has failed.'),
  since: instant.optional(),
});

export const batchQueueStatusSchema = z.object({
  observedGeneration: count.optional().describe('The `metadata.generation` that this status speaks about.'),
  conditions: z
    .array(conditionSchema)
    .max(32)
    .optional()
    .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['type'] })
    .describe('`Ready` sums up the others.'),
  queue: queueStatusSchema
    .optional()
    .describe('What SQS last said about the queue and its dead-letter queue.'),
  jobs: jobsStatusSchema.optional().describe('The Jobs of this BatchQueue.'),
  revision: z
    .object({
      current: count.optional().describe('What new Jobs run.'),
      pinned: count.optional().describe('`spec.revision`, where it is set.'),
      latest: count
        .optional()
        .describe('The revision of the template in the spec, where another one is pinned.'),
      image: z.string().max(1024).optional().describe('Image of `current`.'),
      imageDigest: word.optional().describe('The digest that Jobs of this revision run, where it is known.'),
    })
    .optional()
    .describe('The revision of the template that new Jobs run.'),
  lastSuccessTime: instant.optional().describe('When a Job last succeeded.'),
  lastFailure: lastFailureSchema.optional().describe('The newest failure.'),
  blockedGroups: z
    .array(blockedGroupSchema)
    .max(MAX_BLOCKED_GROUPS)
    .optional()
    .describe('FIFO queues: groups whose first message failed and is tried again before the others may run.'),
  recentRuns: z
    .array(runSchema)
    .max(MAX_RECENT_RUNS)
    .optional()
    .describe('The newest 10 settled Jobs, newest first.'),
});

/** One condition of `status.conditions`. */
export type Condition = z.output<typeof conditionSchema>;
/** What the operator writes under `status`. */
export type BatchQueueStatus = z.output<typeof batchQueueStatusSchema>;
/** One entry of `status.recentRuns`. */
export type RecentRun = z.output<typeof runSchema>;
/** One entry of `status.blockedGroups`. */
export type BlockedGroup = z.output<typeof blockedGroupSchema>;
/** `status.lastFailure`. */
export type LastFailure = z.output<typeof lastFailureSchema>;
