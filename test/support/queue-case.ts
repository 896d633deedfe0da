import { ReceiveMessageCommand, SendMessageCommand } from '@aws-sdk/client-sqs';
import { z } from 'zod';
import type { BatchQueueStatus } from '../../operator/api/batch-queue.ts';
import { batchQueueStatusSchema } from '../../operator/api/status.ts';
import { claimFrom } from '../../operator/plan/claim.ts';
import type { Ledger } from '../../operator/plan/job-facts.ts';
import type { KubeObject } from '../../operator/ports.ts';
import { BATCH_QUEUES, JOBS, REVISIONS } from '../../operator/world.ts';
import { eventually, eventuallyEqual } from './eventually.ts';
import { apply, kubectl } from './kubectl.ts';
import type { OperatorStage } from './operator-stage.ts';
import { endPod } from './worker-pods.ts';

const ACCOUNT = '000000000000';

export interface QueueCaseOptions {
  /** Of the BatchQueue; default `orders`. */
  readonly name?: string;
  /** Undefined: no dead-letter queue. */
  readonly maxReceiveCount?: number;
  /** A FIFO queue, and a FIFO dead-letter queue. */
  readonly fifo?: boolean;
  /** Fields of `spec.queue`; default: the least visibility timeout, 10 s. */
  readonly queue?: Readonly<Record<string, unknown>>;
  /** Fields of the spec that differ from the fast ones of these tests. */
  readonly spec?: Readonly<Record<string, unknown>>;
}

/** A BatchQueue with an SQS queue of its own, and what a test wants to do to them and know of them. */
export class QueueCase {
  readonly name: string;
  readonly namespace: string;
  /** Name of the SQS queue. */
  readonly queueName: string;
  readonly stage: OperatorStage;
  readonly #options: QueueCaseOptions;

  constructor(stage: OperatorStage, caseName: string, options: QueueCaseOptions = {}) {
    this.stage = stage;
    this.#options = options;
    this.name = options.name ?? 'orders';
    this.namespace = stage.namespace(caseName);
    this.queueName = `${this.namespace}-${this.name}${options.fifo ? '.fifo' : ''}`;
  }

  /** Makes queue and BatchQueue, and waits until it is ready. */
  static async ready(
    stage: OperatorStage,
    caseName: string,
    options: QueueCaseOptions = {},
  ): Promise<QueueCase> {
    const queue = new QueueCase(stage, caseName, options);
    await queue.createQueue();
    await queue.apply();
    await queue.whenCondition('Ready', { status: 'True' });
    return queue;
  }

  async createQueue(): Promise<void> {
    const { maxReceiveCount } = this.#options;
    const redrive = maxReceiveCount && { deadLetter: this.#deadLetterName(), maxReceiveCount };
    await this.stage.emulator.createQueue(this.queueName, redrive || undefined);
  }

  #deadLetterName(): string {
    return this.#options.fifo ? this.queueName.replace('.fifo', '-dead.fifo') : `${this.queueName}-dead`;
  }

  /** URL as on AWS: the operator sends everything to the endpoint it was given. */
  url(): string {
    return `https://sqs.us-east-1.amazonaws.com/${ACCOUNT}/${this.queueName}`;
  }

  /** `kubectl apply` with these fields of the spec instead. */
  async apply(spec: Readonly<Record<string, unknown>> = {}): Promise<void> {
    await apply(this.#manifest(spec));
  }

  /** Makes the BatchQueue with a request of our own, where a process for it would be too slow. */
  async create(): Promise<void> {
    await this.stage.client.create(BATCH_QUEUES, this.namespace, this.#manifest({}));
  }

  #manifest(spec: Readonly<Record<string, unknown>>): KubeObject {
    return {
      apiVersion: 'batchqueue.io/v1alpha1',
      kind: 'BatchQueue',
      metadata: { name: this.name, namespace: this.namespace },
      spec: {
        queue: { url: this.url(), visibilityTimeoutSeconds: 10, ...this.#options.queue },
        retry: { minBackoffSeconds: 1, maxBackoffSeconds: 1 },
        jobTemplate: jobTemplate('worker:1'),
        ...this.#options.spec,
        ...spec,
      },
    };
  }

  /** Sends a message and returns its id. */
  async send(body: string): Promise<string> {
    return await this.stage.emulator.send(this.url(), body);
  }

  async counts(): Promise<{ visible: number; inFlight: number }> {
    return await this.stage.emulator.counts(this.url());
  }

  /**
   * Resolves when a consumer could receive these messages; they stay visible. The emulator moves messages whose time
   * has come only when somebody receives, so its counts alone would not tell.
   */
  async whenVisible(ids: readonly string[]): Promise<void> {
    const command = new ReceiveMessageCommand({
      QueueUrl: this.url(),
      VisibilityTimeout: 0,
      MaxNumberOfMessages: 10,
    });
    await eventuallyEqual(
      async () => {
        const { Messages = [] } = await this.stage.emulator.client.send(command);
        return Messages.map(({ MessageId = '' }) => MessageId).toSorted((a, b) => a.localeCompare(b));
      },
      ids.toSorted((a, b) => a.localeCompare(b)),
      { what: `${ids.length} visible messages` },
    );
  }

  async deadLetters(): Promise<number> {
    return (await this.stage.emulator.counts(this.url().replace(this.queueName, this.#deadLetterName())))
      .visible;
  }

  /** Sends a message to a group of a FIFO queue and returns its id. */
  async sendTo(group: string, body: string): Promise<string> {
    const command = new SendMessageCommand({
      QueueUrl: this.url(),
      MessageBody: body,
      MessageGroupId: group,
      MessageDeduplicationId: `${group} ${body}`,
    });
    return (await this.stage.emulator.client.send(command)).MessageId ?? '';
  }

  /** The first Job of which this is so. */
  async jobThat(what: string, holds: (job: KubeObject) => boolean): Promise<KubeObject> {
    const jobs = await eventually(
      async () => (await this.jobs()).filter(holds),
      ({ length }) => length > 0,
      { what: `a Job that ${what}` },
    );
    const [job] = jobs;
    if (job === undefined) throw new Error('the list was just seen to hold one');
    return job;
  }

  /** The bodies that a Job carries in its pod template, by index. */
  static bodiesOf(job: KubeObject): readonly string[] {
    const text = Object(job['spec']).template.metadata.annotations['batchqueue.io/messages'];
    return z
      .array(z.object({ body: z.string() }))
      .parse(JSON.parse(String(text)))
      .map(({ body }) => body);
  }

  /** The queue is empty and nothing is in flight. */
  async whenQueueIsEmpty(): Promise<void> {
    await eventually(
      () => this.counts(),
      ({ visible, inFlight }) => visible + inFlight === 0,
      { what: `${this.queueName} to be empty` },
    );
  }

  /** The BatchQueue's Jobs, oldest first. */
  async jobs(): Promise<readonly KubeObject[]> {
    const labelSelector = `batchqueue.io/queue=${this.name}`;
    const { items } = await this.stage.client.list(JOBS, { namespace: this.namespace, labelSelector });
    const createdAt = ({ metadata }: KubeObject) => metadata.creationTimestamp ?? '';
    return items.toSorted((a, b) => createdAt(a).localeCompare(createdAt(b)));
  }

  /** The Job of one attempt at a message; `timeoutMs` by default as `eventually` has it. */
  async jobOf(messageId: string, attempt = 1, timeoutMs?: number): Promise<KubeObject> {
    const jobs = await eventually(
      async () => (await this.jobs()).filter((job) => isFor(job, messageId, attempt)),
      ({ length }) => length > 0,
      {
        what: `a Job for attempt ${attempt} at message ${messageId}`,
        ...(timeoutMs !== undefined && { timeoutMs }),
      },
    );
    const [job] = jobs;
    if (job === undefined || jobs.length > 1) throw new Error(`${jobs.length} Jobs for one attempt`);
    return job;
  }

  async getJob(name: string): Promise<KubeObject | undefined> {
    return await this.stage.client.get(JOBS, this.namespace, name);
  }

  /** Resolves with the Job once nothing is owed for it any more. */
  async whenSettled(name: string): Promise<KubeObject> {
    const job = await eventually(
      () => this.getJob(name),
      (found) => found?.metadata.finalizers === undefined,
      { what: `Job ${name} to be settled` },
    );
    if (job === undefined) throw new Error(`Job ${name} is gone`);
    return job;
  }

  /** Sends a message, lets its Job succeed, and waits until it is settled. */
  async runOne(body: string): Promise<KubeObject> {
    const job = await this.jobOf(await this.send(body));
    await this.succeed(job);
    return await this.whenSettled(job.metadata.name);
  }

  async succeed(job: KubeObject): Promise<void> {
    await endPod(this.stage.client, job, { exitCode: 0 });
  }

  async object(): Promise<KubeObject | undefined> {
    return await this.stage.client.get(BATCH_QUEUES, this.namespace, this.name);
  }

  async status(): Promise<BatchQueueStatus> {
    return batchQueueStatusSchema.parse((await this.object())?.['status'] ?? {});
  }

  /** Waits for the status to be as wanted, and returns it. */
  async whenStatus(
    what: string,
    accept: (status: BatchQueueStatus) => boolean,
    timeoutMs = 20_000,
  ): Promise<BatchQueueStatus> {
    return await eventually(() => this.status(), accept, {
      what: `${what} in the status of ${this.name}`,
      timeoutMs,
    });
  }

  /** Waits for a condition with these fields, as the newest generation has it, and returns it. */
  async whenCondition(
    type: string,
    wanted: { status: 'True' | 'False' | 'Unknown'; reason?: string },
    timeoutMs = 20_000,
  ): Promise<Condition> {
    const generation = (await this.object())?.metadata.generation ?? 0;
    const isWanted = (condition: Condition | undefined) =>
      condition?.status === wanted.status &&
      (wanted.reason === undefined || condition.reason === wanted.reason) &&
      (condition.observedGeneration ?? 0) >= generation;
    const status = await this.whenStatus(
      `${type}=${wanted.status} ${wanted.reason ?? ''}`,
      (seen) => isWanted(conditionOf(seen, type)),
      timeoutMs,
    );
    const condition = conditionOf(status, type);
    if (condition === undefined) throw new Error('the condition was just seen');
    return condition;
  }

  /** Number and name of each revision object, by number. */
  async revisions(): Promise<readonly { number: number; name: string }[]> {
    const labelSelector = `batchqueue.io/queue=${this.name}`;
    const { items } = await this.stage.client.list(REVISIONS, { namespace: this.namespace, labelSelector });
    return items
      .map((item) => ({ number: Number(item['revision']), name: item.metadata.name }))
      .toSorted((a, b) => a.number - b.number);
  }

  /** What `kubectl describe` shows. */
  async describe(): Promise<string> {
    return await kubectl('describe', 'bq', this.name, '-n', this.namespace);
  }

  /** The cells of this BatchQueue's row in `kubectl get bq`, by column. */
  async row(): Promise<Readonly<Record<string, string>>> {
    const [header = '', row = ''] = (await kubectl('get', 'bq', this.name, '-n', this.namespace)).split('\n');
    const starts = [...header.matchAll(/\S+/g)].map(({ index, 0: column }) => ({ index, column }));
    return Object.fromEntries(
      starts.map(({ index, column }, position) => [
        column,
        row.slice(index, starts[position + 1]?.index).trim(),
      ]),
    );
  }
}

type Condition = NonNullable<BatchQueueStatus['conditions']>[number];

/** A condition of a status. */
export function conditionOf(status: BatchQueueStatus, type: string): Condition | undefined {
  return status.conditions?.find((condition) => condition.type === type);
}

/** The smallest template, with this image. */
export function jobTemplate(image: string): object {
  return { spec: { template: { spec: { containers: [{ name: 'worker', image }] } } } };
}

/** The ledger of a Job; throws when it has none. */
export function ledgerOf(job: KubeObject): Ledger {
  const { ledger } = claimFrom(job);
  if (ledger === undefined) throw new Error(`Job ${job.metadata.name} has no ledger`);
  return ledger;
}

function isFor({ metadata }: KubeObject, messageId: string, attempt: number): boolean {
  const labels = z.record(z.string(), z.string()).parse(metadata.labels ?? {});
  return (
    labels['batchqueue.io/message-id'] === messageId && labels['batchqueue.io/attempt'] === String(attempt)
  );
}
