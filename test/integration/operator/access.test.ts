import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { z } from 'zod';
import { jobName } from '../../../operator/plan/job-name.ts';
import type { Fault } from '../../faults/kubernetes-faults.ts';
import { KubernetesProxy } from '../../faults/kubernetes-proxy.ts';
import { eventually } from '../../support/eventually.ts';
import { apply, kubectl, tryKubectl } from '../../support/kubectl.ts';
import { OperatorStage, shippedManifests } from '../../support/operator-stage.ts';
import { conditionOf, jobTemplate, QueueCase } from '../../support/queue-case.ts';
import { aStorageClass, aVolume, aVolumeClaim } from '../../support/volumes.ts';
import { endPod } from '../../support/worker-pods.ts';

/** Granted for what this test does not bring about; each with its reason. */
const FOR_RARE_MOMENTS: ReadonlySet<string> = new Set([
  // Asked for by an admission plugin, when somebody names an owner; never requested. See the next test.
  'update batchqueues/finalizers',
]);
/** Carried out, and never answered. */
const UNHEARD: Fault = { kind: 'drop-after-commit' };
let stage: OperatorStage;
jest.setTimeout(240_000);

beforeAll(async () => {
  stage = await OperatorStage.set(['verbs', 'owners', 'users', 'pod']);
});

afterAll(async () => {
  await stage.clear();
});

test.concurrent('the shipped role grants what the operator uses, and nothing else', async () => {
  const proxy = await KubernetesProxy.start(stage.operatorKubeconfigPath());
  const election = await stage.prepareElection('verbs');
  const operator = await stage.startOperator({ cases: ['verbs'], through: proxy, election });
  const limits = { successfulJobsHistoryLimit: 0, failedJobsHistoryLimit: 0, revisionHistoryLimit: 0 };
  const storage = { claimName: 'efs-claim', mountPath: '/efs' };
  const queue = new QueueCase(stage, 'verbs', {
    spec: { ...limits, storage, imagePullSecret: { name: 'regcred' } },
  });
  await queue.createQueue();
  const storageClassName = queue.namespace;
  await apply(aStorageClass(storageClassName, 'efs.csi.aws.com'));
  await apply(aVolumeClaim(queue.namespace, storage.claimName, { storageClassName }));
  await queue.apply();
  await queue.whenStatus('a claim that was looked at', (status) =>
    Boolean(conditionOf(status, 'StorageReady')?.message.includes(storage.claimName)),
  );
  const csi = { driver: 'efs.csi.aws.com', volumeHandle: 'fs-0ff53d77cb74d6474' };
  const claimRef = { namespace: queue.namespace, name: storage.claimName };
  await apply(aVolume(queue.namespace, { storageClassName, csi, claimRef }));
  await queue.whenCondition('Ready', { status: 'True' });

  // A Job that stands there although nobody heard of it.
  proxy.inject({ match: { verb: 'create', resource: 'jobs' }, nth: 1, fault: UNHEARD });
  await queue.succeed(await queue.jobOf(await queue.send('succeeds')));
  await queue.whenQueueIsEmpty();
  await runLargeAfterCrash(queue);
  await tellTwice(queue);
  const id = await queue.send('fails');
  await endPod(stage.client, await queue.jobOf(id), { exitCode: 1 });
  const again = await queue.jobOf(id, 2);
  await queue.apply({ jobTemplate: jobTemplate('worker:2') });
  await queue.whenStatus('revision 2', ({ revision }) => revision?.current === 2);
  await queue.apply({ jobTemplate: jobTemplate('worker:1') });
  await queue.whenStatus('revision 3', ({ revision }) => revision?.current === 3);
  await kubectl('delete', 'job', again.metadata.name, '-n', queue.namespace, '--timeout=30s');
  await replaceOrphaning(queue);
  await kubectl('delete', 'lease', '--all', '-n', queue.namespace);

  const used = () => new Set(proxy.requests().map(({ verb, resource }) => `${verb} ${resource}`));
  const granted = await grantedVerbs();
  await eventually(
    () => granted.filter((verb) => !used().has(verb) && !FOR_RARE_MOMENTS.has(verb)),
    (unused) => unused.length === 0,
    { what: 'use of everything that is granted' },
  );
  expect([...used()].filter((verb) => !granted.includes(verb))).toEqual([]);
  expect(operator.output()).not.toContain('forbidden');
  await operator.kill();
  await proxy.stop();
});

/** Runs a message of which a crash has left the payload behind, without its Job. */
async function runLargeAfterCrash(queue: QueueCase): Promise<void> {
  await queue.apply({ suspend: true });
  await queue.whenCondition('Dispatching', { status: 'False', reason: 'Suspended' });
  const polls = { operation: 'ReceiveMessage', queue: queue.queueName };
  await eventually(
    () => stage.sqs.open(polls),
    ({ length }) => length === 0,
    { what: 'the last poll to end', timeoutMs: 30_000 },
  );
  const messageId = await queue.send('large enough for a Secret '.repeat(2_000));
  const queueArn = `arn:aws:sqs:us-east-1:000000000000:${queue.queueName}`;
  const name = jobName({ batchQueueName: queue.name, queueArn, messageId, lock: 1, run: 1 });
  await kubectl('create', 'secret', 'generic', name, '-n', queue.namespace, '--from-literal=left=behind');
  await queue.apply();
  await queue.succeed(await queue.jobOf(messageId));
  await queue.whenQueueIsEmpty();
}

/** Has the same thing happen twice, which is one event that counts. */
async function tellTwice(queue: QueueCase): Promise<void> {
  for (let times = 0; times < 2; times += 1) {
    await queue.apply({ revision: 99 });
    await queue.whenCondition('TemplateValid', { status: 'False', reason: 'RevisionNotFound' });
    await queue.apply();
    await queue.whenCondition('TemplateValid', { status: 'True' });
  }
}

/** Makes the BatchQueue anew, whose revisions have outlived it: one of them stands in the way of an equal one. */
async function replaceOrphaning(queue: QueueCase): Promise<void> {
  await kubectl('delete', 'bq', queue.name, '-n', queue.namespace, '--cascade=orphan', '--timeout=60s');
  const left = await queue.revisions();
  expect(left).not.toEqual([]);
  await queue.apply();
  await queue.whenCondition('Ready', { status: 'True' });
  expect((await queue.revisions()).map(({ name }) => name)).toEqual(left.map(({ name }) => name));
}

test.concurrent('where owners are guarded, the right to finalizers of BatchQueues is what lets it own Jobs', async () => {
  const queue = new QueueCase(stage, 'owners');
  await queue.create();
  const { namespace, name } = queue;
  const uid = await kubectl('get', 'bq', name, '-n', namespace, '-o', 'jsonpath={.metadata.uid}');
  const owner = { apiVersion: 'batchqueue.io/v1alpha1', kind: 'BatchQueue', name, uid };
  const ownerReferences = [{ ...owner, controller: true, blockOwnerDeletion: true }];
  const job = {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name: 'owned', namespace, ownerReferences },
  };
  const manifest = JSON.stringify({
    ...job,
    spec: { template: { spec: { restartPolicy: 'Never', containers: [{ name: 'x', image: 'x' }] } } },
  });
  const create = ['create', '--dry-run=server', '--as=maker', '-n', namespace, '-f', '-'];
  const grant = async (role: string, ...what: readonly string[]) => {
    await kubectl('create', 'role', role, '-n', namespace, ...what);
    await kubectl('create', 'rolebinding', role, '-n', namespace, `--role=${role}`, '--user=maker');
  };
  await grant('jobs', '--verb=create', '--resource=jobs');
  const told = await eventually(
    () => tryKubectl(create, manifest),
    ({ stderr }) => !stderr.includes('cannot create resource'),
    { what: 'the right to make Jobs' },
  );
  expect(told).toMatchObject({ ok: false, stderr: expect.stringContaining('cannot set blockOwnerDeletion') });
  await grant('finalizers', '--verb=update', '--resource=batchqueues.batchqueue.io/finalizers');
  await eventually(
    () => tryKubectl(create, manifest),
    ({ ok }) => ok,
    { what: 'a Job with an owner' },
  );
});

test.concurrent('who may edit a namespace may edit its BatchQueues, who may view it may view them', async () => {
  const namespace = stage.namespace('users');
  for (const role of ['view', 'edit', 'admin'])
    await kubectl(
      'create',
      'rolebinding',
      role,
      `--clusterrole=${role}`,
      `--user=${role}er`,
      '-n',
      namespace,
    );
  const may = async (user: string, verb: string, resource: string, subresource = '') => {
    const what = ['auth', 'can-i', verb, resource, `--subresource=${subresource}`];
    const { stdout } = await tryKubectl([...what, `--as=${user}`, '-n', namespace]);
    return stdout.trim() === 'yes';
  };
  // The controller that adds the rules to the cluster's own roles may need a moment.
  await eventually(
    () => may('adminer', 'create', 'batchqueues'),
    (allowed) => allowed,
    { what: 'the aggregated roles' },
  );

  for (const user of ['viewer', 'editer', 'adminer'])
    for (const verb of ['get', 'list', 'watch']) expect(await may(user, verb, 'batchqueues')).toBe(true);
  for (const verb of ['create', 'update', 'patch', 'delete']) {
    expect([verb, await may('viewer', verb, 'batchqueues')]).toEqual([verb, false]);
    expect([verb, await may('editer', verb, 'batchqueues')]).toEqual([verb, true]);
  }
  expect(await may('editer', 'patch', 'batchqueues', 'scale')).toBe(true);
  expect(await may('viewer', 'patch', 'batchqueues', 'scale')).toBe(false);
  expect(await may('editer', 'patch', 'batchqueues', 'status')).toBe(false);
});

test.concurrent('the pod of the shipped Deployment passes the restricted pod security standard', async () => {
  const deployment = (await shippedManifests()).find(({ kind }) => kind === 'Deployment');
  const { spec } = z
    .object({ spec: z.object({ template: z.object({ spec: z.looseObject({}) }) }) })
    .parse(deployment).spec.template;
  const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'operator' }, spec };
  const namespace = 'batchqueue-system';

  const labels = await kubectl('get', 'namespace', namespace, '-o', 'jsonpath={.metadata.labels}');
  expect(JSON.parse(labels)).toMatchObject({ 'pod-security.kubernetes.io/enforce': 'restricted' });
  const accepted = await tryKubectl(
    ['create', '--dry-run=server', '-n', namespace, '-f', '-'],
    JSON.stringify(pod),
  );
  expect(accepted).toMatchObject({ ok: true, stderr: '' });
});

const roleSchema = z.object({
  rules: z.array(z.object({ resources: z.array(z.string()), verbs: z.array(z.string()) })),
});

/** Verb and resource of every rule of the operator's own roles. */
async function grantedVerbs(): Promise<readonly string[]> {
  const roles = (await shippedManifests()).filter(
    ({ kind, metadata }) => ['ClusterRole', 'Role'].includes(kind) && metadata.name === 'batchqueue-operator',
  );
  expect(roles).toHaveLength(2);
  return roles
    .flatMap((role) => roleSchema.parse(role).rules)
    .flatMap(({ resources, verbs }) =>
      resources.flatMap((resource) => verbs.map((verb) => `${verb} ${resource}`)),
    );
}
