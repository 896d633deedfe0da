import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { claimFrom, isActive } from '../../../operator/plan/claim.ts';
import type { KubeObject } from '../../../operator/ports.ts';
import { eventually, eventuallyEqual, holdsFor } from '../../support/eventually.ts';
import { kubectl } from '../../support/kubectl.ts';
import { OperatorStage } from '../../support/operator-stage.ts';
import { conditionOf, jobTemplate, ledgerOf, QueueCase } from '../../support/queue-case.ts';

let stage: OperatorStage;
jest.setTimeout(90_000);

beforeAll(async () => {
  stage = await OperatorStage.set(['limit', 'scale', 'suspend', 'late', 'lease', 'edit', 'prune']);
  await stage.startOperator();
});

afterAll(async () => {
  await stage.clear();
});

/** A BatchQueue whose one slot is taken, so that no poll is under way. */
async function withItsSlotTaken(caseName: string): Promise<{ queue: QueueCase; job: KubeObject }> {
  const queue = await QueueCase.ready(stage, caseName, { spec: { maxConcurrentJobs: 1 } });
  const job = await queue.jobOf(await queue.send('first'));
  await eventuallyEqual(() => openPolls(queue), 0, { what: 'no open poll' });
  return { queue, job };
}

function openPolls({ queueName }: QueueCase): number {
  return stage.sqs.open({ operation: 'ReceiveMessage', queue: queueName }).length;
}

test.concurrent('a message stays invisible, and is received once, for as long as its Job runs', async () => {
  const queue = await QueueCase.ready(stage, 'lease', { spec: { maxConcurrentJobs: 1 } });
  const job = await queue.jobOf(await queue.send('long'));

  await holdsFor(
    26_000,
    async () => await stage.emulator.receive(queue.url()),
    (received) => received.length === 0,
  );

  expect(await queue.counts()).toEqual({ visible: 0, inFlight: 1 });
  const [still] = await queue.jobs();
  expect(still && ledgerOf(still).messages).toEqual(ledgerOf(job).messages);
  expect(ledgerOf(job).messages).toMatchObject([{ receiveCount: 1 }]);
  await queue.succeed(job);
  await queue.whenQueueIsEmpty();
  expect(await queue.jobs()).toHaveLength(1);
});

test.concurrent('no more Jobs run, and no more messages are taken, than maxConcurrentJobs', async () => {
  const queue = await QueueCase.ready(stage, 'limit', {
    spec: { maxConcurrentJobs: 5, successfulJobsHistoryLimit: 100 },
  });
  await Promise.all(Array.from({ length: 30 }, (_, index) => queue.send(`message ${index}`)));

  const ended = new Set<string>();
  let mostActive = 0;
  let mostInFlight = 0;
  await eventually(
    async () => {
      const active = (await queue.jobs()).filter((job) => isActive(claimFrom(job)));
      mostActive = Math.max(mostActive, active.length);
      mostInFlight = Math.max(mostInFlight, (await queue.counts()).inFlight);
      const running = active.filter(({ metadata }) => !ended.has(metadata.name));
      await Promise.all(running.map((job) => queue.succeed(job)));
      for (const { metadata } of running) ended.add(metadata.name);
      return ended.size;
    },
    (count) => count === 30,
    { what: '30 Jobs', timeoutMs: 60_000 },
  );
  expect(mostActive).toBe(5);
  // Besides those of five active Jobs, messages of Jobs that have ended and are about to be settled.
  expect(mostInFlight).toBeLessThanOrEqual(10);

  await queue.whenQueueIsEmpty();
  const jobs = await queue.jobs();
  const ids = new Set(jobs.map(({ metadata }) => metadata.labels?.['batchqueue.io/message-id']));
  expect([jobs.length, ids.size]).toEqual([30, 30]);
});

test.concurrent('kubectl scale to 0 stops intake, and starts it again', async () => {
  const { queue, job } = await withItsSlotTaken('scale');

  await kubectl('scale', 'bq/orders', '--replicas=0', '-n', queue.namespace);
  await queue.whenCondition('Dispatching', { status: 'False', reason: 'ScaledToZero' });
  await queue.succeed(job);
  await queue.whenSettled(job.metadata.name);
  const second = await queue.send('second');
  await holdsFor(
    2_000,
    async () => ({ polls: openPolls(queue), ...(await queue.counts()) }),
    ({ polls, visible }) => polls === 0 && visible === 1,
  );

  await kubectl('scale', 'bq/orders', '--replicas=2', '-n', queue.namespace);
  expect(await queue.jobOf(second)).toBeDefined();
  const scale = await kubectl('get', 'bq/orders', '-n', queue.namespace, '--subresource=scale', '-o', 'json');
  expect(JSON.parse(scale)).toMatchObject({ spec: { replicas: 2 } });
});

test.concurrent('suspend stops intake; Jobs that run are settled; resume goes on', async () => {
  const { queue, job } = await withItsSlotTaken('suspend');

  await queue.apply({ maxConcurrentJobs: 1, suspend: true });
  await queue.whenCondition('Ready', { status: 'True', reason: 'Suspended' });
  expect(conditionOf(await queue.status(), 'Dispatching')).toMatchObject({
    status: 'False',
    reason: 'Suspended',
  });
  await queue.succeed(job);
  await queue.whenSettled(job.metadata.name);
  expect(await queue.counts()).toEqual({ visible: 0, inFlight: 0 });
  const second = await queue.send('second');
  await holdsFor(
    2_000,
    async () => ({ polls: openPolls(queue), ...(await queue.counts()) }),
    ({ polls, visible }) => polls === 0 && visible === 1,
  );

  await queue.apply({ maxConcurrentJobs: 1 });
  await queue.whenCondition('Ready', { status: 'True', reason: 'Running' });
  expect(await queue.jobOf(second)).toBeDefined();
});

test.concurrent('what a poll from before a suspend brings still runs', async () => {
  const queue = await QueueCase.ready(stage, 'late');
  await eventuallyEqual(() => openPolls(queue), 1, { what: 'an open poll' });
  await queue.apply({ suspend: true });
  await queue.whenCondition('Dispatching', { status: 'False' });

  const job = await queue.jobOf(await queue.send('late'));
  await queue.succeed(job);

  await queue.whenQueueIsEmpty();
});

test.concurrent('an edit makes a revision for new Jobs only, and taking it back renumbers the old one', async () => {
  const queue = await QueueCase.ready(stage, 'edit');
  const first = await queue.jobOf(await queue.send('of revision 1'));
  const [original] = await queue.revisions();

  await queue.apply({ jobTemplate: jobTemplate('worker:2'), maxConcurrentJobs: 7 });
  await queue.whenStatus('revision 2', ({ revision }) => revision?.current === 2);
  const second = await queue.jobOf(await queue.send('of revision 2'));
  expect(second).toMatchObject({
    metadata: { labels: { 'batchqueue.io/revision': '2' } },
    spec: { template: { spec: { containers: [{ image: 'worker:2' }] } } },
  });
  expect(await queue.getJob(first.metadata.name)).toMatchObject({
    metadata: { uid: first.metadata.uid, labels: { 'batchqueue.io/revision': '1' } },
    spec: { template: { spec: { containers: [{ image: 'worker:1' }] } } },
  });

  await queue.apply({ jobTemplate: jobTemplate('worker:1'), maxConcurrentJobs: 8 });
  await queue.whenStatus('revision 3', ({ revision }) => revision?.current === 3);
  expect(await queue.revisions()).toEqual([
    { number: 2, name: expect.not.stringMatching(`^${original?.name}$`) },
    { number: 3, name: original?.name },
  ]);
  expect(await queue.jobOf(await queue.send('of revision 3'))).toMatchObject({
    metadata: { labels: { 'batchqueue.io/revision': '3' } },
    spec: { template: { spec: { containers: [{ image: 'worker:1' }] } } },
  });

  await Promise.all([queue.succeed(first), queue.succeed(second)]);
  await Promise.all([first, second].map(({ metadata }) => queue.whenSettled(metadata.name)));
  await queue.apply({ maxConcurrentJobs: 9 });
  await queue.whenStatus('generation 4', ({ observedGeneration }) => observedGeneration === 4);
  expect(await queue.revisions()).toHaveLength(2);
});

test.concurrent('old revisions beyond the limit are pruned, the current one never', async () => {
  const limits = { revisionHistoryLimit: 1, successfulJobsHistoryLimit: 1 };
  const queue = await QueueCase.ready(stage, 'prune', { spec: limits });
  await queue.runOne('keeps revision 1 in use');

  for (const revision of [2, 3, 4]) {
    await queue.apply({ jobTemplate: jobTemplate(`worker:${revision}`) });
    await queue.whenStatus(`revision ${revision}`, ({ revision: now }) => now?.current === revision);
  }

  await eventuallyEqual(async () => (await queue.revisions()).map(({ number }) => number), [1, 3, 4], {
    what: 'revision 2 to be pruned',
  });
});
