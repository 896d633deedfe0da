import { ReceiveMessageCommand } from '@aws-sdk/client-sqs';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import type { KubeObject } from '../../../operator/ports.ts';
import { eventually, eventuallyEqual } from '../../support/eventually.ts';
import { OperatorProcess } from '../../support/operator-process.ts';
import { OperatorStage } from '../../support/operator-stage.ts';
import { ledgerOf, QueueCase } from '../../support/queue-case.ts';

/** Every case has an operator of its own, to be killed. */
const CASES = ['active', 'ended', 'waiting', 'deleted', 'received', 'outage', 'drain', 'idle'];
let stage: OperatorStage;
// A message that a killed process had just received comes back after forty seconds, perhaps more than once.
jest.setTimeout(300_000);

beforeAll(async () => {
  stage = await OperatorStage.set(CASES);
});

afterAll(async () => {
  await stage.clear();
});

async function startFor(caseName: string): Promise<OperatorProcess> {
  return await stage.startOperator({ cases: [caseName] });
}

function isComplete(job: KubeObject | undefined): boolean {
  return JSON.stringify(job?.['status']).includes('"Complete"');
}

test.concurrent('killed while a Job runs: the next operator keeps its lease and settles it', async () => {
  const operator = await startFor('active');
  const queue = await QueueCase.ready(stage, 'active');
  const job = await queue.jobOf(await queue.send('active'));
  await operator.kill();

  await startFor('active');
  // Longer than the visibility timeout: the lease is renewed from the ledger.
  const renewals = () =>
    stage.sqs.requests({ operation: 'ChangeMessageVisibilityBatch', queue: queue.queueName }).length;
  const before = renewals();
  await eventually(renewals, (count) => count >= before + 4, { what: 'four renewals', timeoutMs: 30_000 });
  await queue.succeed(job);

  await queue.whenQueueIsEmpty();
  expect(await queue.jobs()).toMatchObject([{ metadata: { uid: job.metadata.uid } }]);
  expect(ledgerOf(job).messages).toMatchObject([{ receiveCount: 1 }]);
});

test.concurrent('a Job that ended while no operator ran is settled by the next one', async () => {
  const operator = await startFor('ended');
  const queue = await QueueCase.ready(stage, 'ended');
  const job = await queue.jobOf(await queue.send('ended'));
  await operator.kill();
  await queue.succeed(job);
  await eventually(() => queue.getJob(job.metadata.name), isComplete, { what: 'the Job to be complete' });
  expect((await queue.counts()).inFlight).toBe(1);

  await startFor('ended');

  await queue.whenSettled(job.metadata.name);
  expect(await queue.counts()).toEqual({ visible: 0, inFlight: 0 });
  expect(await queue.jobs()).toHaveLength(1);
});

test.concurrent('killed again and again with messages waiting: every message gets exactly one Job', async () => {
  let operator = await startFor('waiting');
  const queue = await QueueCase.ready(stage, 'waiting', {
    spec: { maxConcurrentJobs: 2, successfulJobsHistoryLimit: 100, failedJobsHistoryLimit: 100 },
  });
  const ids = await Promise.all(Array.from({ length: 6 }, (_, index) => queue.send(`message ${index}`)));

  const ended = new Map<string, KubeObject>();
  for (const killAt of [1, 3, 5, 6]) {
    await eventually(
      async () => {
        for (const job of await queue.jobs()) {
          if (ended.has(job.metadata.name) || ended.size >= killAt) continue;
          await queue.succeed(job);
          ended.set(job.metadata.name, job);
        }
        return ended.size;
      },
      (count) => count >= killAt,
      { what: `${killAt} Jobs`, timeoutMs: 120_000 },
    );
    await operator.kill();
    operator = await startFor('waiting');
  }

  await queue.whenQueueIsEmpty();
  const jobs = await queue.jobs();
  await Promise.all(jobs.map(({ metadata }) => queue.whenSettled(metadata.name)));
  const ran = jobs.map(({ metadata }) => metadata.labels?.['batchqueue.io/message-id']);
  expect(ran).toHaveLength(ids.length);
  expect(new Set(ran)).toEqual(new Set(ids));
});

test.concurrent('killed between the delete and its record: the next operator repeats it harmlessly', async () => {
  const operator = await startFor('deleted');
  const queue = await QueueCase.ready(stage, 'deleted');
  const job = await queue.jobOf(await queue.send('deleted'));
  const hold = stage.sqs.hold({ operation: 'DeleteMessageBatch', queue: queue.queueName }, 'after');
  await queue.succeed(job);
  await hold.reached;
  await operator.kill();
  hold.release();
  expect(await queue.counts()).toEqual({ visible: 0, inFlight: 0 });
  expect((await queue.getJob(job.metadata.name))?.metadata.finalizers).toBeDefined();

  await startFor('deleted');

  await queue.whenSettled(job.metadata.name);
  await queue.whenStatus('the success', ({ lastSuccessTime }) => lastSuccessTime !== undefined);
  expect(await queue.jobs()).toHaveLength(1);
});

test.concurrent('killed before a received message had a Job: it comes again and runs', async () => {
  const operator = await startFor('received');
  const queue = await QueueCase.ready(stage, 'received');
  const hold = stage.sqs.hold({ operation: 'ReceiveMessage', queue: queue.queueName }, 'after');
  const id = await queue.send('received');
  await hold.reached;
  await operator.kill();
  hold.release();
  expect(await queue.jobs()).toEqual([]);
  expect((await queue.counts()).inFlight).toBe(1);

  await startFor('received');
  const [job] = await eventually(
    () => queue.jobs(),
    ({ length }) => length === 1,
    { what: 'one Job' },
  );

  expect(job?.metadata.labels?.['batchqueue.io/message-id']).toBe(id);
  if (job) await queue.succeed(job);
  await queue.whenQueueIsEmpty();
  expect(await queue.jobs()).toHaveLength(1);
});

test.concurrent('down for longer than the lease: the redelivered message is adopted by its Job', async () => {
  const operator = await startFor('outage');
  const queue = await QueueCase.ready(stage, 'outage');
  const job = await queue.jobOf(await queue.send('outage'));
  await eventuallyEqual(() => stage.sqs.open({ queue: queue.queueName }).length, 1, { what: 'an open poll' });
  await operator.kill();
  const [before] = ledgerOf(job).messages;
  // Until the lease has lapsed; what is received so stays visible. The receive had asked for forty seconds.
  const look = new ReceiveMessageCommand({
    QueueUrl: queue.url(),
    VisibilityTimeout: 0,
    WaitTimeSeconds: 20,
  });
  await eventually(
    async () => (await stage.emulator.client.send(look)).Messages ?? [],
    ({ length }) => length > 0,
    { what: 'the end of the lease', timeoutMs: 60_000 },
  );

  await startFor('outage');
  const adopted = await eventually(
    async () => (await queue.jobs()).map((found) => ledgerOf(found).messages[0]),
    ([message]) => (message?.receiveCount ?? 0) > (before?.receiveCount ?? 0),
    { what: 'the newest receipt handle in the ledger' },
  );

  expect(adopted).toHaveLength(1);
  expect(adopted[0]?.receiptHandle).not.toBe(before?.receiptHandle);
  expect(await queue.jobs()).toMatchObject([{ metadata: { uid: job.metadata.uid } }]);
  await queue.succeed(job);
  await queue.whenQueueIsEmpty();
  expect(await queue.jobs()).toHaveLength(1);
  expect(await queue.describe()).toContain('MessageAdopted');
});

test.concurrent('on SIGTERM what the last poll brings still becomes a Job', async () => {
  const operator = await startFor('drain');
  const queue = await QueueCase.ready(stage, 'drain', { spec: { maxConcurrentJobs: 2 } });
  await eventuallyEqual(() => stage.sqs.open({ queue: queue.queueName }).length, 1, { what: 'an open poll' });
  operator.terminate();
  await eventually(
    () => operator.health('/readyz'),
    (status) => status === 503,
    { what: 'the operator not to be ready' },
  );
  expect(await operator.health('/healthz')).toBe(200);

  const id = await queue.send('late');

  expect(await operator.exitCode()).toBe(0);
  expect(await queue.jobs()).toMatchObject([{ metadata: { labels: { 'batchqueue.io/message-id': id } } }]);
  expect(operator.output()).toContain('"stopped"');
});

test.concurrent('on SIGTERM a poll without messages ends by itself, and is never aborted', async () => {
  const operator = await startFor('idle');
  const queue = await QueueCase.ready(stage, 'idle');
  const polls = () => stage.sqs.requests({ operation: 'ReceiveMessage', queue: queue.queueName }).length;
  await eventuallyEqual(polls, 1, { what: 'the first poll' });

  operator.terminate();

  expect(await operator.exitCode()).toBe(0);
  expect(polls()).toBe(1);
  // Nothing that the poll might have swallowed is missing.
  await queue.send('afterwards');
  expect(await stage.emulator.receive(queue.url())).toHaveLength(1);
});

test.concurrent('settings that cannot be used end it at once with every problem', async () => {
  const args = ['--health-port', '99999', '--sqs-endpoint', 'ftp://x', '--namespaces', 'A_B'];
  const operator = new OperatorProcess(args);

  expect(await operator.exitCode()).toBe(64);
  for (const flag of ['--health-port', '--sqs-endpoint', '--namespaces'])
    expect(operator.output()).toContain(flag);
});
