import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import type { KubeObject } from '../../../operator/ports.ts';
import { eventually, holdsFor } from '../../support/eventually.ts';
import { kubectl } from '../../support/kubectl.ts';
import { OperatorStage } from '../../support/operator-stage.ts';
import { jobTemplate, ledgerOf, QueueCase } from '../../support/queue-case.ts';

let stage: OperatorStage;
jest.setTimeout(120_000);

beforeAll(async () => {
  stage = await OperatorStage.set(['pinned', 'unknown', 'written']);
  await stage.startOperator();
});

afterAll(async () => {
  await stage.clear();
});

/** Revision and image of a Job. */
function runs(job: KubeObject): unknown[] {
  const { annotations = {} } = job.metadata;
  return [annotations['batchqueue.io/revision'], annotations['batchqueue.io/image']];
}

async function patch(queue: QueueCase, body: object): Promise<void> {
  await kubectl('patch', 'bq', queue.name, '-n', queue.namespace, '--type=merge', '-p', JSON.stringify(body));
}

/** Waits until an event on the BatchQueue has this note. */
async function whenTold(queue: QueueCase, note: string): Promise<void> {
  await eventually(
    () => queue.describe(),
    (shown) => shown.includes(note),
    { what: `the event "${note}"` },
  );
}

test.concurrent('a rollback by one field takes effect for the next message, and is undone by removing it', async () => {
  const queue = await QueueCase.ready(stage, 'pinned', { spec: { revisionHistoryLimit: 0 } });
  const first = await queue.jobOf(await queue.send('under the first'));
  expect(runs(first)).toEqual(['1', 'worker:1']);
  await patch(queue, { spec: { revision: 1, jobTemplate: jobTemplate('worker:2') } });
  await queue.whenStatus('revision 2', ({ revision }) => revision?.latest === 2);
  await queue.succeed(first);
  await whenTold(queue, 'The template in the spec is revision 2; new Jobs run revision 1');
  await whenTold(queue, 'New Jobs run revision 1, which spec.revision pins.');

  const second = await queue.jobOf(await queue.send('under the pinned one'));
  expect(runs(second)).toEqual(['1', 'worker:1']);
  expect(await queue.row()).toMatchObject({ REVISION: '1' });
  expect((await queue.status()).revision).toEqual({ current: 1, pinned: 1, latest: 2, image: 'worker:1' });
  expect((await queue.revisions()).map(({ number }) => number)).toEqual([1, 2]);

  await patch(queue, { spec: { revision: null } });
  await queue.whenStatus('no pin', ({ revision }) => revision?.current === 2);
  expect(runs(await queue.jobOf(await queue.send('under the latest')))).toEqual(['2', 'worker:2']);
  expect(runs((await queue.getJob(second.metadata.name)) ?? second)).toEqual(['1', 'worker:1']);
  await whenTold(queue, 'New Jobs run revision 2, the template in the spec');
});

/**
 * Until the garbage collector has heard of the CRD, which it looks for twice a minute, it tries again and again to find out
 * about what BatchQueues own, and may take an owner for gone that just orphans it.
 */
async function whenCollectorKnows(caseName: string): Promise<void> {
  const queue = new QueueCase(stage, caseName, { name: 'known' });
  await queue.create();
  await kubectl('delete', 'bq', queue.name, '-n', queue.namespace, '--cascade=orphan', '--timeout=60s');
}

/** With fields in another order than Go's, and with what Go writes in another way than JavaScript. */
function shellTemplate(image: string): object {
  const command = ['sh', '-c', "run <in.csv >out.csv && echo '\u2028 \u007f \u0001 é 𝄞 \\ \"'"];
  const template = { spec: { containers: [{ name: 'worker', image, command }] } };
  return { spec: { template: { ...template, metadata: { labels: { 9: 'b', 10: 'a', b: '', a: '' } } } } };
}

test.concurrent('whatever is written in a template, its revision comes back, and outlives its BatchQueue', async () => {
  await whenCollectorKnows('written');
  const spec = { imagePullSecret: { name: 'regcred' }, jobTemplate: shellTemplate('worker:1') };
  const queue = await QueueCase.ready(stage, 'written', { spec });
  const place = ['-n', queue.namespace];
  await queue.apply({ jobTemplate: shellTemplate('worker:2') });
  await queue.whenStatus('revision 2', ({ revision }) => revision?.current === 2);
  await queue.apply();
  await queue.whenStatus('revision 3', ({ revision }) => revision?.current === 3);
  const kept = await queue.revisions();
  expect(kept.map(({ number }) => number)).toEqual([2, 3]);

  await kubectl('delete', 'bq', queue.name, ...place, '--cascade=orphan', '--timeout=30s');
  expect(await queue.revisions()).toEqual(kept);
  const owners = [
    'get',
    'controllerrevisions',
    ...place,
    '-o',
    'jsonpath={.items[*].metadata.ownerReferences}',
  ];
  expect(await kubectl(...owners)).toBe('');
  await queue.apply();
  await queue.whenStatus('the revision that was there', ({ revision }) => revision?.current === 3);
  expect(await queue.revisions()).toEqual(kept);
});

test.concurrent('a revision that is not kept holds intake, and says which are', async () => {
  const queue = await QueueCase.ready(stage, 'unknown');
  await patch(queue, { spec: { revision: 7 } });
  const { message } = await queue.whenCondition('Ready', { status: 'False', reason: 'RevisionNotFound' });
  expect(message).toContain('spec.revision is 7, and no such revision is kept: there is 1.');
  const id = await queue.send('waits');
  await whenTold(queue, 'RevisionNotFound');
  await holdsFor(
    2_000,
    () => queue.jobs(),
    ({ length }) => length === 0,
  );
  await patch(queue, { spec: { revision: 1 } });
  const job = await queue.jobOf(id);
  expect(runs(job)).toEqual(['1', 'worker:1']);
  expect(ledgerOf(job).messages.map(({ receiveCount }) => receiveCount)).toEqual([1]);
});
