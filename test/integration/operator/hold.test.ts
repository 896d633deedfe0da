import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { claimFrom, isActive } from '../../../operator/plan/claim.ts';
import type { KubeObject } from '../../../operator/ports.ts';
import { throttled } from '../../faults/kubernetes-faults.ts';
import { KubernetesProxy } from '../../faults/kubernetes-proxy.ts';
import { eventually, eventuallyEqual, holdsFor } from '../../support/eventually.ts';
import { apply, kubectl } from '../../support/kubectl.ts';
import { OperatorStage } from '../../support/operator-stage.ts';
import { conditionOf, jobTemplate, ledgerOf, QueueCase } from '../../support/queue-case.ts';
import { blockPod, endPod, leaveUnscheduled, podsOf } from '../../support/worker-pods.ts';

const CASES = ['image', 'deadline', 'room', 'quota', 'full', 'policy', 'worker'];
let stage: OperatorStage;
jest.setTimeout(120_000);

beforeAll(async () => {
  stage = await OperatorStage.set([...CASES, 'busy']);
  await stage.startOperator({ cases: CASES });
});

afterAll(async () => {
  await stage.clear();
});

function send(queue: QueueCase, count: number): Promise<string[]> {
  return Promise.all(Array.from({ length: count }, (_, index) => queue.send(`message ${index}`)));
}

/** Waits for this many Jobs that have not ended. */
async function activeJobs(queue: QueueCase, count: number): Promise<readonly KubeObject[]> {
  return await eventually(
    async () => (await queue.jobs()).filter((job) => isActive(claimFrom(job))),
    ({ length }) => length === count,
    { what: `${count} active Jobs` },
  );
}

/** Lets every Job of this revision succeed until the queue is empty. */
async function runAll(queue: QueueCase, revision = 1): Promise<void> {
  const ended = new Set<string>();
  await eventually(
    async () => {
      const label = String(revision);
      const next = (await queue.jobs()).filter(
        (job) =>
          isActive(claimFrom(job)) &&
          job.metadata.labels?.['batchqueue.io/revision'] === label &&
          !ended.has(job.metadata.name),
      );
      await Promise.all(next.map((job) => queue.succeed(job)));
      for (const { metadata } of next) ended.add(metadata.name);
      return await queue.counts();
    },
    ({ visible, inFlight }) => visible + inFlight === 0,
    { what: 'an empty queue', timeoutMs: 60_000 },
  );
}

/** How often each message was received, and as which attempt it ran, over all Jobs there are. */
function receives(jobs: readonly KubeObject[]): [receives: number, attempts: number] {
  const ledgers = jobs.map(ledgerOf);
  return [
    Math.max(...ledgers.flatMap(({ messages }) => messages.map(({ receiveCount }) => receiveCount))),
    Math.max(...ledgers.map(({ attempt }) => attempt)),
  ];
}

test.concurrent('an image that no node takes holds intake; a new one replaces the stuck Jobs at no cost', async () => {
  const history = { successfulJobsHistoryLimit: 100, failedJobsHistoryLimit: 100 };
  const queue = await QueueCase.ready(stage, 'image', { spec: { maxConcurrentJobs: 3, ...history } });
  await send(queue, 8);
  const stuck = await activeJobs(queue, 3);
  const message = 'couldn\'t parse image name "worker:1:2": invalid reference format';
  for (const job of stuck) await blockPod(stage.client, job, { reason: 'InvalidImageName', message });

  const ready = await queue.whenCondition('Ready', { status: 'False', reason: 'InvalidImageName' });
  expect(ready.message).toContain(message);
  await queue.whenCondition('Dispatching', { status: 'False', reason: 'InvalidImageName' });
  // Room for another Job is no reason to receive.
  await queue.apply({ maxConcurrentJobs: 4 });
  await queue.whenCondition('Ready', { status: 'False', reason: 'InvalidImageName' });
  const probe = await activeJobs(queue, 4);
  for (const job of probe) await blockPod(stage.client, job, { reason: 'InvalidImageName', message });
  await holdsFor(
    2_000,
    () => queue.counts(),
    ({ visible }) => visible === 4,
  );

  await queue.apply({ maxConcurrentJobs: 4, jobTemplate: jobTemplate('worker:2') });
  const replaced = await eventually(
    async () => (await queue.jobs()).filter(({ metadata }) => metadata.name.endsWith('-r2')),
    ({ length }) => length === 4,
    { what: 'four second runs', timeoutMs: 40_000 },
  );
  expect(replaced.map((job) => claimFrom(job).revision)).toEqual([2, 2, 2, 2]);
  await runAll(queue, 2);
  await queue.whenCondition('Ready', { status: 'True', reason: 'Running' });
  const jobs = await queue.jobs();
  expect(receives(jobs)).toEqual([1, 1]);
  const succeeded = jobs.filter((job) => claimFrom(job).outcome === 'succeeded');
  expect(new Set(succeeded.flatMap((job) => ledgerOf(job).messages.map(({ id }) => id))).size).toBe(8);
  for (const job of probe) expect(await podsOf(stage.client, job)).toEqual([]);
});

test.concurrent('a deadline that passes while no pod can start costs no attempt and no receive', async () => {
  const template = { spec: { containers: [{ name: 'worker', image: 'worker:1' }] } };
  const spec = { maxConcurrentJobs: 1, jobTemplate: { spec: { activeDeadlineSeconds: 6, template } } };
  const queue = await QueueCase.ready(stage, 'deadline', { spec });
  const id = await queue.send('waits');
  const first = await queue.jobOf(id);
  await blockPod(stage.client, first, { reason: 'InvalidImageName', message: 'invalid reference format' });
  await queue.whenCondition('Ready', { status: 'False', reason: 'InvalidImageName' });

  const second = await eventually(
    async () => (await queue.jobs()).find(({ metadata }) => metadata.name === `${first.metadata.name}-r2`),
    (job) => job !== undefined,
    { what: 'the second run', timeoutMs: 40_000 },
  );
  // Once it starts it counts like any other.
  if (second) await endPod(stage.client, second, { exitCode: 1 });
  await queue.jobOf(id, 2);
  expect(claimFrom((await queue.getJob(first.metadata.name)) ?? first).failure?.reason).toBe(
    'DeadlineExceeded',
  );
  expect(second && receives([first, second])).toEqual([1, 1]);
});

test.concurrent('pods without a node are told of, and hold nothing', async () => {
  const queue = await QueueCase.ready(stage, 'room', { spec: { maxConcurrentJobs: 2 } });
  const job = await queue.jobOf(await queue.send('waits'));
  const words = '0/3 nodes are available: 3 Insufficient cpu.';
  await leaveUnscheduled(stage.client, job, words);
  await queue.whenStatus('the words of the scheduler', (status) => {
    const ready = conditionOf(status, 'Ready');
    return (
      ready?.status === 'True' && ready.message.includes(`Unschedulable: Job ${job.metadata.name}: ${words}`)
    );
  });
  await queue.whenCondition('Dispatching', { status: 'True' });
  const other = await queue.jobOf(await queue.send('comes in all the same'));
  await queue.succeed(other);
  await queue.succeed(job);
  await queue.whenQueueIsEmpty();
});

function quota(queue: QueueCase, jobs: number): object {
  return {
    apiVersion: 'v1',
    kind: 'ResourceQuota',
    metadata: { name: 'few', namespace: queue.namespace },
    spec: { hard: { 'count/jobs.batch': String(jobs) } },
  };
}

/** Waits until the quota counts what there is: before that the API server does not enforce it. */
async function whenCounted(queue: QueueCase, used: number, hard: number): Promise<void> {
  const read = () =>
    kubectl('get', 'quota', 'few', '-n', queue.namespace, '-o', 'jsonpath={.status.used}{.status.hard}');
  const wanted = `{"count/jobs.batch":"${used}"}{"count/jobs.batch":"${hard}"}`;
  await eventuallyEqual(read, wanted, { what: 'the quota to count' });
}

test.concurrent('a quota keeps messages in their claims: held, tried again, never given back', async () => {
  const history = { successfulJobsHistoryLimit: 100 };
  const queue = await QueueCase.ready(stage, 'quota', { spec: { maxConcurrentJobs: 4, ...history } });
  await apply(quota(queue, 2));
  await whenCounted(queue, 0, 2);
  await send(queue, 6);

  const ready = await queue.whenCondition('Ready', { status: 'False', reason: 'QuotaExceeded' });
  expect(ready.message).toContain(
    'exceeded quota: few, requested: count/jobs.batch=1, used: count/jobs.batch=2, limited: count/jobs.batch=2',
  );
  await queue.whenCondition('Dispatching', { status: 'False', reason: 'QuotaExceeded' });
  expect(await queue.jobs()).toHaveLength(2);
  const asked = stage.sqs.requests({ operation: 'ReceiveMessage', queue: queue.queueName }).length;
  await holdsFor(
    12_000,
    async () => ({ ...(await queue.counts()), created: (await queue.jobs()).length }),
    // Longer than the lease: what is held stays held.
    ({ inFlight, created }) => inFlight === 4 && created === 2,
  );
  expect(stage.sqs.requests({ operation: 'ReceiveMessage', queue: queue.queueName })).toHaveLength(asked);

  await apply(quota(queue, 100));
  await runAll(queue);
  await queue.whenCondition('Ready', { status: 'True', reason: 'Running' });
  const jobs = await queue.jobs();
  expect(jobs).toHaveLength(6);
  expect(receives(jobs)).toEqual([1, 1]);
});

test.concurrent('a quota that is used up from the start lets nothing in', async () => {
  const queue = new QueueCase(stage, 'full');
  await apply(quota(queue, 0));
  await whenCounted(queue, 0, 0);
  await queue.createQueue();
  await queue.send('waits');
  await queue.apply();
  await queue.whenCondition('Ready', { status: 'False', reason: 'QuotaExceeded' });
  expect(await queue.counts()).toEqual({ visible: 1, inFlight: 0 });

  await kubectl('delete', 'quota', 'few', '-n', queue.namespace);
  await queue.whenCondition('Ready', { status: 'True' }, 60_000);
  await runAll(queue);
});

test.concurrent('what an admission policy denies is held, and told in its words', async () => {
  const queue = await QueueCase.ready(stage, 'policy');
  const name = `no-jobs-${queue.namespace}`;
  const rules = [{ apiGroups: ['batch'], apiVersions: ['v1'], operations: ['CREATE'], resources: ['jobs'] }];
  const namespaceSelector = { matchLabels: { 'kubernetes.io/metadata.name': queue.namespace } };
  await apply({
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingAdmissionPolicy',
    metadata: { name },
    spec: {
      matchConstraints: { resourceRules: rules },
      validations: [{ expression: 'false', message: 'no Jobs before Monday' }],
    },
  });
  await apply({
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingAdmissionPolicyBinding',
    metadata: { name },
    spec: { policyName: name, validationActions: ['Deny'], matchResources: { namespaceSelector } },
  });
  await eventually(
    () =>
      kubectl('create', 'job', 'probe', '--image=x', '--dry-run=server', '-n', queue.namespace).catch(String),
    (said) => said.includes('no Jobs before Monday'),
    { what: 'the policy to be in force' },
  );
  await queue.send('waits');
  const ready = await queue.whenCondition('Ready', { status: 'False', reason: 'AdmissionDenied' });
  expect(ready.message).toContain('no Jobs before Monday');

  await kubectl('delete', 'validatingadmissionpolicybinding', name);
  await runAll(queue);
  expect(receives(await queue.jobs())).toEqual([1, 1]);
});

test.concurrent('a server that is busy is asked again when it said, and the message stays held', async () => {
  const proxy = await KubernetesProxy.start(stage.operatorKubeconfigPath());
  await stage.startOperator({ cases: ['busy'], through: proxy });
  const queue = await QueueCase.ready(stage, 'busy');
  const refusals = proxy.inject({ match: { verb: 'create', resource: 'jobs' }, nth: 1, fault: throttled(4) });
  const sentAtMs = Date.now();
  await queue.send('comes later');
  const [job] = await activeJobs(queue, 1);
  expect(refusals.hits()).toBe(1);
  expect(Date.now() - sentAtMs).toBeGreaterThanOrEqual(4_000);
  expect(job && receives([job])).toEqual([1, 1]);
  expect(conditionOf(await queue.status(), 'Ready')).toMatchObject({ status: 'True' });
  if (job) await queue.succeed(job);
  await queue.whenQueueIsEmpty();
  await proxy.stop();
});

test.concurrent('three workers in a row that say they are set up wrongly hold intake', async () => {
  const queue = await QueueCase.ready(stage, 'worker', {
    spec: { maxConcurrentJobs: 3, retry: { minBackoffSeconds: 600, maxBackoffSeconds: 600 } },
  });
  await send(queue, 5);
  const said = JSON.stringify({ reason: 'RULES_FILE is not set' });
  for (const job of await activeJobs(queue, 3)) {
    // The slots that become free are taken again before the third has ended.
    await endPod(stage.client, job, { exitCode: 78, message: said });
  }
  await queue.whenCondition('Dispatching', { status: 'False', reason: 'WorkerMisconfigured' });
  await queue.whenStatus('the words of the worker', (status) => {
    const ready = conditionOf(status, 'Ready');
    return ready?.reason === 'WorkerMisconfigured' && ready.message.includes('RULES_FILE is not set');
  });

  await queue.apply({ maxConcurrentJobs: 3, jobTemplate: jobTemplate('worker:2') });
  await queue.whenCondition('Ready', { status: 'True', reason: 'Running' });
});
