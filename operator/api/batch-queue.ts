/**
 * The BatchQueue resource. This schema is the one source of truth: types, defaults and bounds come from here, the CRD is
 * generated from it, and `rules.ts` adds what a bound cannot say (formats, cross-field rules, what the operator owns).
 * It holds only fields that work in this version.
 */

import { z } from 'zod';
import type { ObjectMeta } from '../ports.ts';
import { jobTemplateSchema } from './job-template.ts';
import type { BatchQueueStatus } from './status.ts';

/** Longest queue URL: a 253 character host, port, account and an 80 character queue name fit. */
const MAX_URL_LENGTH = 512;
/** SQS allows 12 hours (43,200 s) from receive to delete; no delay may be longer. */
const MAX_VISIBILITY_SECONDS = 43_200;

const queueSchema = z.object({
  url: z
    .string()
    .max(MAX_URL_LENGTH)
    .describe(
      'URL of an SQS queue, for example https://sqs.us-east-1.amazonaws.com/123456789012/orders. FIFO queues end in .fifo.',
    ),
  visibilityTimeoutSeconds: z
    .int()
    .min(10)
    .max(3600)
    .default(300)
    .describe(
      'How long a message stays invisible after its lease was last renewed. Renewed every third of it while the Job runs.',
    ),
  batchSize: z
    .int()
    .min(1)
    .max(100)
    .default(1)
    .describe('Messages per Job, at most. On a FIFO queue at most 10, all of one message group.'),
  batchWindowSeconds: z
    .int()
    .min(0)
    .max(300)
    .default(0)
    .describe(
      'How long a message may wait for others to fill its batch. 0: only for what is coming in anyway.',
    ),
  serviceAccountName: z
    .string()
    .max(253)
    .optional()
    .describe(
      'The ServiceAccount whose role reads the queue (annotation eks.amazonaws.com/role-arn). Default: the one that runs the Jobs. With one of its own, workers need no permission on the queue.',
    ),
});

const storageSchema = z.object({
  claimName: z.string().max(253).describe('Name of a PersistentVolumeClaim in the same namespace.'),
  mountPath: z.string().max(1024).describe('Absolute path where every container sees the claim.'),
  subPath: z
    .string()
    .max(1024)
    .optional()
    .describe('Directory inside the claim to mount instead of its root, relative, without `..`.'),
});

const retrySchema = z.object({
  minBackoffSeconds: z
    .int()
    .min(1)
    .max(MAX_VISIBILITY_SECONDS)
    .default(10)
    .describe('Delay before the second attempt. Doubles with every attempt, with jitter.'),
  maxBackoffSeconds: z
    .int()
    .min(1)
    .max(MAX_VISIBILITY_SECONDS)
    .default(3600)
    .describe('Longest delay between attempts.'),
});

const deadLetterSchema = z.object({
  sendRejected: z
    .boolean()
    .default(false)
    .describe(
      'True copies rejected messages to the dead-letter queue at once, and deletes them when the copy is confirmed; needs sqs:SendMessage there. False leaves them to the redrive policy of the queue.',
    ),
});

const historyLimit = z.int().min(0).max(100);

export const batchQueueSpecSchema = z.object({
  queue: queueSchema.describe('The SQS queue to read.'),
  maxConcurrentJobs: z
    .int()
    .min(0)
    .max(1000)
    .default(10)
    .describe('How many Jobs may run at once. 0 stops intake. `kubectl scale` sets it.'),
  suspend: z
    .boolean()
    .default(false)
    .describe('True stops intake. Jobs that run go on and are settled as ever.'),
  serviceAccountName: z
    .string()
    .max(253)
    .optional()
    .describe('The ServiceAccount that runs the Jobs. Default: the `default` one of the namespace.'),
  storage: storageSchema.optional().describe('A volume for every container of the template.'),
  imagePullSecret: z
    .object({
      name: z.string().max(253).describe('Name of the Secret, of type kubernetes.io/dockerconfigjson.'),
      refresh: z
        .boolean()
        .default(false)
        .describe(
          'True keeps tokens for every ECR registry of the template fresh in it; what it holds for other registries stays. A Secret of that name without a controller is taken over, a missing one is made.',
        ),
    })
    .optional()
    .describe('A Secret in the same namespace to pull images with.'),
  retry: retrySchema
    // Complete, because the API server checks a default against the rules before it fills in the defaults inside it.
    .default(retrySchema.parse({}))
    .describe('How failed messages are given back to the queue.'),
  deadLetter: deadLetterSchema
    .default(deadLetterSchema.parse({}))
    .describe('What happens to messages that their worker rejects (exit code 65, or `rejectedIndexes`).'),
  jobTemplate: jobTemplateSchema.describe(
    'A batch/v1 JobTemplateSpec, as in a CronJob. Retries, completions and deletion belong to the BatchQueue and are refused here.',
  ),
  successfulJobsHistoryLimit: historyLimit.default(3).describe('How many succeeded Jobs to keep.'),
  failedJobsHistoryLimit: historyLimit.default(5).describe('How many failed Jobs to keep.'),
  revisionHistoryLimit: historyLimit
    .default(10)
    .describe('How many old revisions of the template to keep besides the ones in use.'),
  revision: z
    .int()
    .min(1)
    .max(1_000_000_000)
    .optional()
    .describe(
      'Number of a kept revision that new Jobs run instead of the template above: a rollback. Default: the template above.',
    ),
});

/** The spec with all defaults applied. `jobTemplate` is raw JSON as the user wrote it. */
export type BatchQueueSpec = z.output<typeof batchQueueSpecSchema>;

/** A BatchQueue that passed `parseBatchQueue`: every rule holds and every default is applied. */
export interface BatchQueue {
  readonly metadata: ObjectMeta;
  readonly spec: BatchQueueSpec;
  /** Undefined until the operator wrote one (or when what is there cannot be read). */
  readonly status?: BatchQueueStatus | undefined;
}

export type { Container, JobTemplate, PodSpec } from './job-template.ts';
export type { BatchQueueStatus, Condition } from './status.ts';
