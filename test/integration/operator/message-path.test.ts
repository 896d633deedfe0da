import { SendMessageCommand } from '@aws-sdk/client-sqs';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { fieldOf } from '../../../operator/api/json.ts';
import type { KubeObject } from '../../../operator/ports.ts';
import { eventually, eventuallyEqual } from '../../support/eventually.ts';
import { apply, kubectl } from '../../support/kubectl.ts';
import { OPERATOR_SECRET_ACCESS_KEY } from '../../support/operator-process.ts';
import { OperatorStage } from '../../support/operator-stage.ts';
import { QueueCase } from '../../support/queue-case.ts';
import { aBoundClaim } from '../../support/volumes.ts';
import { endPod, runPod } from '../../support/worker-pods.ts';

const CANARY = 'canary-body-5f2d';
let stage: OperatorStage;
jest.setTimeout(60_000);

beforeAll(async () => {
  stage = await OperatorStage.set(['success', 'story', 'failure', 'oversize', 'history']);
  await stage.startOperator();
});

afterAll(async () => {
  await stage.clear();
});

test.concurrent('a message becomes a Job with everything the worker contract promises', async () => {
  const namespace = stage.namespace('success');
  await kubectl('create', 'serviceaccount', 'orders-worker', '-n', namespace);
  for (const object of aBoundClaim(namespace, 'orders-files', namespace)) await apply(object);
  const queue = await QueueCase.ready(stage, 'success', {
    maxReceiveCount: 3,
    spec: {
      serviceAccountName: 'orders-worker',
      storage: { claimName: 'orders-files', mountPath: '/efs', subPath: 'orders' },
      imagePullSecret: { name: 'regcred' },
    },
  });

  const id = await queue.send(CANARY);
  const job = await queue.jobOf(id);

  const owner = await queue.object();
  const labels = {
    'batchqueue.io/queue': 'orders',
    'batchqueue.io/revision': '1',
    'batchqueue.io/attempt': '1',
    'batchqueue.io/message-id': id,
  };
  expect(job).toMatchObject({
    metadata: {
      name: expect.stringMatching(/^orders-[0-9a-v]{16}$/),
      labels,
      annotations: { 'batchqueue.io/revision': '1', 'batchqueue.io/image': 'worker:1' },
      finalizers: ['batchqueue.io/settlement'],
      ownerReferences: [{ kind: 'BatchQueue', name: 'orders', uid: owner?.metadata.uid, controller: true }],
    },
    spec: { backoffLimit: 0, template: { metadata: { labels }, spec: expectedPodSpec(queue) } },
  });
  expect(messagesFileOf(job)).toEqual([
    {
      messageId: id,
      body: CANARY,
      attempt: 1,
      attributes: expect.objectContaining({
        ApproximateReceiveCount: '1',
        SentTimestamp: expect.any(String),
      }),
      messageAttributes: {},
    },
  ]);
});

function expectedPodSpec(queue: QueueCase): object {
  return {
    restartPolicy: 'Never',
    serviceAccountName: 'orders-worker',
    imagePullSecrets: [{ name: 'regcred' }],
    containers: [
      {
        image: 'worker:1',
        env: expect.arrayContaining([
          { name: 'BATCHQUEUE_MESSAGES_FILE', value: '/var/run/batchqueue/messages.json' },
          { name: 'BATCHQUEUE_STORAGE_PATH', value: '/efs' },
          { name: 'SQS_QUEUE_URL', value: queue.url() },
          { name: 'BATCHQUEUE_NAME', value: 'orders' },
          { name: 'BATCHQUEUE_NAMESPACE', value: queue.namespace },
          { name: 'BATCHQUEUE_REVISION', value: '1' },
          { name: 'BATCHQUEUE_ATTEMPT', value: '1' },
        ]),
        volumeMounts: [
          { name: 'batchqueue-messages', mountPath: '/var/run/batchqueue', readOnly: true },
          { name: 'batchqueue-storage', mountPath: '/efs', subPath: 'orders' },
        ],
      },
    ],
    volumes: [
      { name: 'batchqueue-messages', projected: expect.anything() },
      { name: 'batchqueue-storage', persistentVolumeClaim: { claimName: 'orders-files' } },
    ],
  };
}

function messagesFileOf(job: KubeObject): unknown {
  const annotations = fieldOf(fieldOf(fieldOf(fieldOf(job, 'spec'), 'template'), 'metadata'), 'annotations');
  return JSON.parse(String(fieldOf(annotations, 'batchqueue.io/messages')));
}

test.concurrent('a message is deleted when its Job succeeds, and kubectl tells the whole story', async () => {
  const queue = await QueueCase.ready(stage, 'story', { maxReceiveCount: 3 });
  const job = await queue.jobOf(await queue.send(CANARY));
  await runPod(stage.client, job);
  await queue.whenStatus('one running Job', ({ jobs }) => jobs?.running === 1);
  expect(await queue.row()).toMatchObject({
    NAME: 'orders',
    READY: 'True',
    ACTIVE: '1',
    MAX: '10',
    DEAD: '0',
    OLDEST: expect.stringMatching(/^\d+s$/),
    REVISION: '1',
  });
  expect(await queue.counts()).toEqual({ visible: 0, inFlight: 1 });

  await queue.succeed(job);
  const settled = await queue.whenSettled(job.metadata.name);

  expect(settled.metadata.labels).toEqual(job.metadata.labels);
  expect(await queue.counts()).toEqual({ visible: 0, inFlight: 0 });
  const status = await queue.whenStatus('the success', ({ recentRuns }) => recentRuns?.length === 1);
  expect(status).toMatchObject({
    observedGeneration: 1,
    jobs: { active: 0, pending: 0, running: 0 },
    lastSuccessTime: expect.any(String),
    recentRuns: [{ job: job.metadata.name, attempt: 1, revision: 1, outcome: 'Succeeded' }],
  });
  expect(await queue.row()).toMatchObject({ READY: 'True', WAITING: '0', ACTIVE: '0', OLDEST: '' });
  await queue.whenCondition('Drained', { status: 'True' });
  await eventually(
    () => queue.describe(),
    (text) => ['RevisionCreated', 'JobCreated', 'JobSucceeded'].every((reason) => text.includes(reason)),
    { what: 'the events in kubectl describe' },
  );
  await kubectl('wait', '--for=condition=Ready', '--timeout=5s', 'bq/orders', '-n', queue.namespace);
});

test.concurrent('a failed message is tried again after its backoff, and ends in the dead-letter queue', async () => {
  const queue = await QueueCase.ready(stage, 'failure', {
    maxReceiveCount: 2,
    spec: { retry: { minBackoffSeconds: 2, maxBackoffSeconds: 2 } },
  });
  const id = await queue.send(CANARY);

  const first = await queue.jobOf(id, 1);
  await endPod(stage.client, first, { exitCode: 75, message: '{"reason":"row 3: the disk is full"}' });
  const failed = await queue.whenStatus('the failure', ({ lastFailure }) => lastFailure !== undefined);
  expect(failed.lastFailure).toMatchObject({
    job: first.metadata.name,
    messageIds: [id],
    messageCount: 1,
    exitCode: 75,
    reason: 'TemporaryFailure',
    message: 'row 3: the disk is full',
  });
  const releases = stage.sqs
    .requests({ operation: 'ChangeMessageVisibilityBatch', queue: queue.queueName })
    .map(({ body }) => fieldOf(body, 'Entries'));
  expect(releases).toContainEqual([expect.objectContaining({ VisibilityTimeout: 2 })]);

  const second = await queue.jobOf(id, 2);
  expect(second.metadata.name).not.toBe(first.metadata.name);
  expect(messagesFileOf(second)).toMatchObject([{ messageId: id, attempt: 2 }]);
  await endPod(stage.client, second, { exitCode: 1, message: 'disk full' });
  const again = await queue.whenStatus(
    'the second failure',
    ({ lastFailure }) => lastFailure?.job === second.metadata.name,
  );
  expect(again.lastFailure).toMatchObject({ exitCode: 1, message: 'disk full' });

  await eventuallyEqual(() => queue.deadLetters(), 1, { what: 'one dead letter' });
  await eventually(
    () => queue.row(),
    ({ DEAD, ACTIVE }) => DEAD === '1' && ACTIVE === '0',
    { what: 'the DEAD column to be 1' },
  );
  expect(await queue.jobs()).toHaveLength(2);
  expect(await queue.describe()).toContain('JobFailed');
});

test.concurrent('a message too large for a Job is dead-lettered in the end while others run', async () => {
  const queue = await QueueCase.ready(stage, 'oversize', { maxReceiveCount: 2 });
  // Its body could be mounted as a file of its own; its attributes travel in the messages file.
  await stage.emulator.client.send(
    new SendMessageCommand({
      QueueUrl: queue.url(),
      MessageBody: CANARY,
      MessageAttributes: { large: { DataType: 'String', StringValue: 'x'.repeat(800 * 1024) } },
    }),
  );
  const job = await queue.jobOf(await queue.send('small'));

  await eventuallyEqual(() => queue.deadLetters(), 1, { what: 'one dead letter' });
  await queue.succeed(job);
  await queue.whenQueueIsEmpty();

  expect(await queue.jobs()).toHaveLength(1);
  expect(await queue.describe()).toMatch(/Warning\s+PayloadTooLarge/);
});

test.concurrent('no more ended Jobs are kept than the history limits say', async () => {
  const queue = await QueueCase.ready(stage, 'history', {
    maxReceiveCount: 1,
    spec: { successfulJobsHistoryLimit: 1, failedJobsHistoryLimit: 0 },
  });
  const ids = await Promise.all(['a', 'b', 'c'].map((body) => queue.send(body)));
  const failing = await queue.jobOf(await queue.send('d'));
  const jobs = await Promise.all(ids.map((id) => queue.jobOf(id)));

  await endPod(stage.client, failing, { exitCode: 1 });
  await Promise.all(jobs.map((job) => queue.succeed(job)));
  await queue.whenQueueIsEmpty();

  const kept = await eventually(
    () => queue.jobs(),
    ({ length }) => length === 1,
    { what: 'one Job to be left' },
  );
  expect(jobs.map(({ metadata }) => metadata.name)).toContain(kept[0]?.metadata.name);
  const status = await queue.whenStatus('four runs', ({ recentRuns }) => recentRuns?.length === 4);
  expect(status.recentRuns?.map(({ outcome }) => outcome).toSorted()).toEqual([
    'Failed',
    'Succeeded',
    'Succeeded',
    'Succeeded',
  ]);
});

test('neither logs nor events hold a body, a receipt handle or a credential', async () => {
  const events = await Promise.all(
    stage.namespaces().map((namespace) => kubectl('get', 'events', '-n', namespace, '-o', 'json')),
  );
  const told = [stage.output(), ...events].join('\n');
  const receiptHandles = [...stage.sqs.receiptHandles().keys()];

  expect(told).toContain('job settled');
  expect(told).toContain('JobSucceeded');
  expect(receiptHandles.length).toBeGreaterThan(5);
  expect(receiptHandles.filter((handle) => told.includes(handle))).toEqual([]);
  expect(told).not.toContain(CANARY);
  expect(told).not.toContain(OPERATOR_SECRET_ACCESS_KEY);
  // A JSON web token, as service accounts have.
  expect(told).not.toMatch(/eyJ[\w-]{10,}\.[\w-]{10,}/);
});
