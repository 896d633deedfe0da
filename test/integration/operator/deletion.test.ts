import { DeleteQueueCommand } from '@aws-sdk/client-sqs';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { BATCH_QUEUES, JOBS } from '../../../operator/world.ts';
import { eventually, eventuallyEqual } from '../../support/eventually.ts';
import { kubectl, tryKubectl } from '../../support/kubectl.ts';
import { aConfigMap, CONFIG_MAPS } from '../../support/kubernetes.ts';
import { OperatorStage } from '../../support/operator-stage.ts';
import { QueueCase } from '../../support/queue-case.ts';
import { podsOf, runPod } from '../../support/worker-pods.ts';

const SHARED = ['background', 'foreground', 'job', 'namespace', 'gone'];
let stage: OperatorStage;
jest.setTimeout(60_000);

beforeAll(async () => {
  stage = await OperatorStage.set([...SHARED, 'orphan', 'collector']);
  await stage.startOperator({ cases: SHARED });
  await whenGarbageIsCollected();
}, 90_000);

afterAll(async () => {
  await stage.clear();
});

/** The garbage collector notices a new kind within half a minute; until then it leaves what a deleted owner had. */
async function whenGarbageIsCollected(): Promise<void> {
  const { client } = stage;
  const queue = new QueueCase(stage, 'collector');
  await queue.apply();
  const uid = (await queue.object())?.metadata.uid ?? '';
  const owner = { apiVersion: 'batchqueue.io/v1alpha1', kind: 'BatchQueue', name: queue.name, uid };
  const owned = aConfigMap('owned');
  owned.metadata.ownerReferences = [owner];
  await client.create(CONFIG_MAPS, queue.namespace, owned);
  await client.delete(BATCH_QUEUES, queue.namespace, queue.name);
  await eventually(
    () => client.get(CONFIG_MAPS, queue.namespace, 'owned'),
    (found) => found === undefined,
    { what: 'the garbage collector to know BatchQueues', timeoutMs: 60_000 },
  );
}

test.concurrent.each(['background', 'foreground'])(
  'deleting a BatchQueue (%s) ends its pods, gives its messages back and leaves nothing',
  async (cascade) => {
    const queue = await QueueCase.ready(stage, cascade, { spec: { maxConcurrentJobs: 1 } });
    const id = await queue.send('unfinished');
    const job = await queue.jobOf(id);
    await runPod(stage.client, job);

    await kubectl('delete', 'bq/orders', '-n', queue.namespace, `--cascade=${cascade}`, '--timeout=30s');

    await queue.whenVisible([id]);
    await eventuallyEqual(() => queue.jobs(), [], { what: 'no Job' });
    await eventuallyEqual(() => queue.revisions(), [], { what: 'no revision' });
    await eventuallyEqual(() => podsOf(stage.client, job), [], { what: 'no pod' });
  },
);

test.concurrent('a Job of an orphaned BatchQueue runs on and is settled from its own annotations', async () => {
  const operator = await stage.startOperator({ cases: ['orphan'] });
  const queue = await QueueCase.ready(stage, 'orphan', { spec: { maxConcurrentJobs: 1 } });
  const job = await queue.jobOf(await queue.send('orphan'));
  await runPod(stage.client, job);

  await kubectl('delete', 'bq/orders', '-n', queue.namespace, '--cascade=orphan');
  await operator.kill();
  await stage.startOperator({ cases: ['orphan'] });
  await eventually(
    () => queue.getJob(job.metadata.name),
    (found) => found !== undefined && found.metadata.ownerReferences === undefined,
    { what: 'the Job to have no owner' },
  );
  expect(await queue.counts()).toEqual({ visible: 0, inFlight: 1 });
  await queue.succeed(job);

  await queue.whenSettled(job.metadata.name);
  expect(await queue.counts()).toEqual({ visible: 0, inFlight: 0 });
});

test.concurrent('a Job deleted by hand gives its message back, which runs again as the next attempt', async () => {
  const queue = await QueueCase.ready(stage, 'job');
  const id = await queue.send('again');
  const job = await queue.jobOf(id);
  await runPod(stage.client, job);

  await kubectl('delete', 'job', job.metadata.name, '-n', queue.namespace, '--timeout=30s');

  expect(await podsOf(stage.client, job)).toEqual([]);
  const [again] = await eventually(
    async () => (await queue.jobs()).filter(({ metadata }) => metadata.uid !== job.metadata.uid),
    ({ length }) => length === 1,
    { what: 'another Job' },
  );
  expect(again?.metadata.labels).toMatchObject({
    'batchqueue.io/message-id': id,
    'batchqueue.io/attempt': '2',
  });
  if (again) await queue.succeed(again);
  await queue.whenQueueIsEmpty();
});

test.concurrent('a namespace with running Jobs terminates, and its messages are back in the queue', async () => {
  // The namespace controller looks again only after half of its pods' grace period.
  const containers = [{ name: 'worker', image: 'worker:1' }];
  const pod = { terminationGracePeriodSeconds: 1, containers };
  const spec = { jobTemplate: { spec: { template: { spec: pod } } } };
  const queue = await QueueCase.ready(stage, 'namespace', { spec });
  const ids = await Promise.all(['a', 'b'].map((body) => queue.send(body)));
  const jobs = await Promise.all(ids.map((id) => queue.jobOf(id)));
  await Promise.all(jobs.map((job) => runPod(stage.client, job)));

  await kubectl('delete', 'namespace', queue.namespace, '--timeout=40s');

  await queue.whenVisible(ids);
});

test.concurrent('nothing hangs when the SQS queue was deleted first', async () => {
  const queue = await QueueCase.ready(stage, 'gone');
  const job = await queue.jobOf(await queue.send('lost with its queue'));
  await stage.emulator.client.send(new DeleteQueueCommand({ QueueUrl: queue.url() }));

  const { ok, stderr } = await tryKubectl([
    'delete',
    'bq/orders',
    '-n',
    queue.namespace,
    '--cascade=foreground',
    '--timeout=30s',
  ]);

  expect({ ok, stderr }).toEqual({ ok: true, stderr: '' });
  expect(await stage.client.get(JOBS, queue.namespace, job.metadata.name)).toBeUndefined();
});
