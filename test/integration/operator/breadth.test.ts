import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { z } from 'zod';
import type { KubeObject } from '../../../operator/ports.ts';
import { SECRETS } from '../../../operator/world.ts';
import { eventually, eventuallyEqual } from '../../support/eventually.ts';
import { OperatorStage } from '../../support/operator-stage.ts';
import { jobTemplate, ledgerOf, QueueCase } from '../../support/queue-case.ts';
import { endIndex, endPod, refuseIndex } from '../../support/worker-pods.ts';

/** Batches, Indexed Jobs, FIFO groups and payloads of every size, with the whole operator on a real API server. */
const CASES = ['batch', 'window', 'conflict', 'indexed', 'fifo', 'large', 'reject', 'copy'];
const ANY_TIME = { successfulJobsHistoryLimit: 100, failedJobsHistoryLimit: 100 };
let stage: OperatorStage;
jest.setTimeout(120_000);

beforeAll(async () => {
  stage = await OperatorStage.set(CASES);
  await stage.startOperator();
});

afterAll(async () => {
  await stage.clear();
});

function holds(...ids: readonly string[]): (job: KubeObject) => boolean {
  return (job) => {
    const held = new Set(ledgerOf(job).messages.map(({ id }) => id));
    return held.size === ids.length && ids.every((id) => held.has(id));
  };
}

/** Indexes of these messages in their Job, as a result file lists them. */
function indexesOf(job: KubeObject, ...ids: readonly string[]): string {
  const held = ledgerOf(job).messages.map(({ id }) => id);
  return ids
    .map((id) => held.indexOf(id))
    .toSorted((a, b) => a - b)
    .join(',');
}

async function secretsOf(queue: QueueCase): Promise<readonly string[]> {
  const { items } = await stage.client.list(SECRETS, {
    namespace: queue.namespace,
    labelSelector: `batchqueue.io/queue=${queue.name}`,
  });
  return items.map(({ metadata }) => metadata.name);
}

function batchSpec(queue: QueueCase, parts: object): Record<string, unknown> {
  return { queue: { url: queue.url(), visibilityTimeoutSeconds: 10, ...parts }, ...ANY_TIME };
}

async function ready(caseName: string, parts: object, spec: object = {}): Promise<QueueCase> {
  const queue = new QueueCase(stage, caseName, { maxReceiveCount: 3 });
  await queue.createQueue();
  await queue.apply({ ...batchSpec(queue, parts), ...spec });
  await queue.whenCondition('Ready', { status: 'True' });
  return queue;
}

test.concurrent('a batch is one Job; its worker says of each message what becomes of it', async () => {
  const queue = await ready('batch', { batchSize: 10, batchWindowSeconds: 2 });
  const ids = await Promise.all(['a', 'b', 'c'].map((body) => queue.send(body)));
  const [done = '', again = '', never = ''] = ids;
  const job = await queue.jobThat('holds all three', holds(...ids));
  const message = JSON.stringify({
    succeededIndexes: indexesOf(job, done),
    rejectedIndexes: indexesOf(job, never),
    retryAfterSeconds: 1,
    reason: 'one row is broken',
  });

  await endPod(stage.client, job, { exitCode: 1, message });

  const settled = await queue.whenSettled(job.metadata.name);
  const { deleted, released, rejected } = ledgerOf(settled);
  expect([deleted, released, rejected]).toEqual([done, again, never].map((id) => indexesOf(job, id)));
  const second = await queue.jobThat('tries the one again', holds(again));
  expect(ledgerOf(second).attempt).toBe(2);
  await queue.succeed(second);
  // The rejected one comes back as its redrive policy wants it, and is not run again while its Job is remembered.
  await queue.whenStatus('the failure', ({ lastFailure }) => lastFailure?.messageCount === 3);
  expect(await queue.jobs()).toHaveLength(2);
  expect(await queue.describe()).toMatch(/one row is broken/);
});

test.concurrent('a batch waits for its window, and not longer', async () => {
  const queue = await ready('window', { batchSize: 3, batchWindowSeconds: 60 });
  const first = await queue.send('a');
  await eventuallyEqual(async () => (await queue.counts()).inFlight, 1, {
    what: 'the message to be received',
  });
  expect(await queue.jobs()).toEqual([]);
  const ids = [first, await queue.send('b'), await queue.send('c')];

  const job = await queue.jobThat('is full', holds(...ids));

  expect(QueueCase.bodiesOf(job).toSorted((a, b) => a.localeCompare(b))).toEqual(['a', 'b', 'c']);
  await queue.succeed(job);
  await queue.whenQueueIsEmpty();
});

test.concurrent('exit code 0 with lists that contradict it deletes nothing', async () => {
  const queue = await ready('conflict', { batchSize: 10, batchWindowSeconds: 1 });
  const ids = [await queue.send('a'), await queue.send('b')];
  const job = await queue.jobThat('holds both', holds(...ids));

  await endPod(stage.client, job, { exitCode: 0, message: JSON.stringify({ succeededIndexes: '0' }) });

  expect(ledgerOf(await queue.whenSettled(job.metadata.name)).released).toBe('0-1');
  expect(await queue.describe()).toContain('ResultConflict');
  const again = await queue.jobThat('is the second attempt', (each) => ledgerOf(each).attempt === 2);
  await queue.succeed(again);
});

test.concurrent('an Indexed Job is settled index by index while others run', async () => {
  const template = Object(jobTemplate('worker:1'));
  const indexed = { spec: { ...template.spec, completionMode: 'Indexed' } };
  const queue = await ready('indexed', { batchSize: 3, batchWindowSeconds: 3 }, { jobTemplate: indexed });
  const ids = await Promise.all(['a', 'b', 'c'].map((body) => queue.send(body)));
  const job = await queue.jobThat('holds all three', holds(...ids));
  const [first = '', second = '', third = ''] = ledgerOf(job).messages.map(({ id }) => id);

  await endIndex(stage.client, job, 0, { exitCode: 0 });
  await eventually(
    async () => ledgerOf((await queue.getJob(job.metadata.name)) ?? job),
    ({ deleted }) => deleted === '0',
    { what: 'the first message to be deleted' },
  );
  expect(await queue.counts()).toEqual({ visible: 0, inFlight: 2 });
  // Which costs no attempt: the Job controller makes another pod.
  await refuseIndex(stage.client, job, 2);
  await endIndex(stage.client, job, 1, { exitCode: 1, message: 'broken' });
  const again = await queue.jobThat('runs the second again beside it', holds(second));
  expect(ledgerOf(again).attempt).toBe(2);
  await endIndex(stage.client, again, 0, { exitCode: 0 });
  await endIndex(stage.client, job, 2, { exitCode: 0 });

  const settled = await queue.whenSettled(job.metadata.name);
  expect(ledgerOf(settled)).toMatchObject({ deleted: '0,2', released: '1' });
  expect([first, third].every((id) => ids.includes(id))).toBe(true);
  await queue.whenQueueIsEmpty();
  expect(await queue.jobs()).toHaveLength(2);
});

test.concurrent('the messages of a group run in order, one Job at a time; groups run side by side', async () => {
  const queue = new QueueCase(stage, 'fifo', { maxReceiveCount: 5, fifo: true });
  await queue.createQueue();
  const [a1, a2, b1] = [
    await queue.sendTo('a', '1'),
    await queue.sendTo('a', '2'),
    await queue.sendTo('b', '1'),
  ];
  await queue.apply(batchSpec(queue, { batchSize: 1 }));

  const first = await queue.jobThat('runs a 1', holds(a1));
  const other = await queue.jobThat('runs b 1 beside it', holds(b1));
  await queue.succeed(other);
  await queue.whenSettled(other.metadata.name);
  expect(await queue.jobs()).toHaveLength(2);
  await endPod(stage.client, first, { exitCode: 1 });
  const again = await queue.jobThat('runs a 1 again', (job) => holds(a1)(job) && ledgerOf(job).attempt === 2);
  expect(await queue.jobs()).toHaveLength(3);
  await queue.succeed(again);
  const last = await queue.jobThat('runs a 2 then', holds(a2));
  await queue.succeed(last);

  await queue.whenQueueIsEmpty();
  expect(await queue.jobs()).toHaveLength(4);
});

const projectedSchema = z.object({
  template: z.object({ spec: z.object({ volumes: z.array(z.object({ name: z.string() })) }) }),
});

test.concurrent('messages of every size travel, up to the whole mebibyte of SQS', async () => {
  const queue = await ready('large', { batchSize: 1 });
  const sizes = [10, 40 * 1024, 1024 * 1024];
  const jobs: KubeObject[] = [];
  for (const size of sizes) jobs.push(await queue.jobOf(await queue.send('x'.repeat(size))));
  const [small, medium, large] = jobs.map(({ metadata }) => metadata.name);

  const secrets = await secretsOf(queue);

  expect(secrets.toSorted((a, b) => a.localeCompare(b))).toEqual(
    [`${large}-body`, String(medium)].toSorted((a, b) => a.localeCompare(b)),
  );
  expect(secrets).not.toContain(small);
  for (const job of jobs) {
    expect(projectedSchema.parse(job['spec']).template.spec.volumes.map(({ name }) => name)).toEqual([
      'batchqueue-messages',
    ]);
  }
  await Promise.all(jobs.map((job) => queue.succeed(job)));
  await queue.whenQueueIsEmpty();
  // They are their Jobs', and go with them.
  const owners = await Promise.all(
    secrets.map(
      async (name) => (await stage.client.get(SECRETS, queue.namespace, name))?.metadata.ownerReferences,
    ),
  );
  expect(owners.flat().map((owner) => owner?.kind)).toEqual(['Job', 'Job']);
});

test.concurrent('a rejected message is not run again, and goes the way of the redrive policy', async () => {
  const queue = await ready('reject', { batchSize: 1 });
  const job = await queue.jobOf(await queue.send('never'));

  await endPod(stage.client, job, { exitCode: 65, message: 'line 3' });

  await eventuallyEqual(() => queue.deadLetters(), 1, { what: 'the dead letter', timeoutMs: 60_000 });
  expect(await queue.jobs()).toHaveLength(1);
});

test.concurrent('a rejected message is copied to the dead-letter queue at once, if the spec says so', async () => {
  const queue = await ready('copy', { batchSize: 1 }, { deadLetter: { sendRejected: true } });
  const job = await queue.jobOf(await queue.send('x'.repeat(50_000)));

  await endPod(stage.client, job, { exitCode: 65, message: 'line 3' });

  await eventuallyEqual(() => queue.deadLetters(), 1, { what: 'the copy' });
  await queue.whenSettled(job.metadata.name);
  expect(await queue.counts()).toEqual({ visible: 0, inFlight: 0 });
  const [copy] = await stage.emulator.receive(`${queue.url()}-dead`);
  expect(copy?.body).toBe('x'.repeat(50_000));
});
