import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import type { KubeObject } from '../../../operator/ports.ts';
import { ECR_ACCOUNT, EcrServer } from '../../support/ecr-server.ts';
import { holdsFor } from '../../support/eventually.ts';
import { kubectl } from '../../support/kubectl.ts';
import { OperatorStage } from '../../support/operator-stage.ts';
import { jobTemplate, QueueCase } from '../../support/queue-case.ts';

const CASES = ['tags', 'missing', 'denied', 'deleted', 'outside'];
const REGISTRY = `${ECR_ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com`;
let stage: OperatorStage;
let ecr: EcrServer;
jest.setTimeout(120_000);

beforeAll(async () => {
  ecr = await EcrServer.start();
  stage = await OperatorStage.set(CASES);
  await stage.startOperator({ cases: CASES.filter((name) => name !== 'deleted'), ecr });
});

afterAll(async () => {
  await stage.clear();
  await ecr.stop();
});

function imageOf(job: KubeObject): string {
  return Object(job['spec']).template.spec.containers[0].image;
}

/** Sends a message and tells which image its Job runs. */
async function imageOfNext(queue: QueueCase): Promise<string> {
  const job = await queue.jobOf(await queue.send('message'));
  await queue.succeed(job);
  return imageOf(job);
}

test.concurrent('a Job runs what its tag meant when the revision was made, whatever becomes of the tag', async () => {
  const first = ecr.push('tags', 'latest', ['linux/amd64', 'linux/arm64']);
  const template = jobTemplate(`${REGISTRY}/tags:latest`);
  const queue = await QueueCase.ready(stage, 'tags', { spec: { jobTemplate: template } });
  const condition = await queue.whenCondition('ImageResolved', { status: 'True', reason: 'Resolved' });
  expect(condition.message).toContain(`${first} (linux/amd64, linux/arm64)`);
  expect(await imageOfNext(queue)).toBe(`${REGISTRY}/tags@${first}`);

  const second = ecr.push('tags', 'latest');
  expect(await imageOfNext(queue)).toBe(`${REGISTRY}/tags@${first}`);
  await queue.apply({ maxConcurrentJobs: 3 });
  await queue.whenStatus('the new generation', ({ observedGeneration }) => observedGeneration === 2);
  expect(await imageOfNext(queue)).toBe(`${REGISTRY}/tags@${first}`);
  expect((await queue.status()).revision).toMatchObject({ current: 1, imageDigest: first });

  // Anything else in the template makes a new revision, with what the tag means then.
  const changed = { spec: { ...Object(template).spec, activeDeadlineSeconds: 600 } };
  await queue.apply({ jobTemplate: changed });
  await queue.whenStatus('the second digest', ({ revision }) => revision?.imageDigest === second);
  expect(await imageOfNext(queue)).toBe(`${REGISTRY}/tags@${second}`);

  // The first template again is the first digest again.
  await queue.apply();
  await queue.whenStatus('the first digest', ({ revision }) => revision?.imageDigest === first);
  expect(await imageOfNext(queue)).toBe(`${REGISTRY}/tags@${first}`);

  const annotation = 'batchqueue.io/resolve-images=anew';
  await kubectl('annotate', 'bq', queue.name, annotation, '-n', queue.namespace);
  const status = await queue.whenStatus('revision 4', ({ revision }) => revision?.current === 4);
  const { revision } = await queue.whenStatus('its digest', (seen) => seen.revision?.imageDigest === second);
  expect(revision).toMatchObject({ ...status.revision, current: 4, image: `${REGISTRY}/tags:latest` });
  expect(await imageOfNext(queue)).toBe(`${REGISTRY}/tags@${second}`);
});

test.concurrent('a tag that is not there holds intake until it is pushed', async () => {
  ecr.create('missing');
  const template = jobTemplate(`${REGISTRY}/missing:1.4.0`);
  const queue = new QueueCase(stage, 'missing', { spec: { jobTemplate: template } });
  await queue.createQueue();
  await queue.apply();
  const condition = await queue.whenCondition('ImageResolved', { status: 'False', reason: 'ImageNotFound' });
  expect(condition.message).toContain(`${REGISTRY}/missing:1.4.0`);
  expect(condition.message).toContain('Push it');
  await queue.whenCondition('Ready', { status: 'False', reason: 'ImageNotFound' });
  const id = await queue.send('message');
  await holdsFor(
    2_000,
    () => queue.counts(),
    ({ visible, inFlight }) => visible === 1 && inFlight === 0,
  );

  const digest = ecr.push('missing', '1.4.0');
  await queue.whenCondition('Ready', { status: 'True' }, 60_000);
  const job = await queue.jobOf(id);
  expect(imageOf(job)).toBe(`${REGISTRY}/missing@${digest}`);
  expect(Object(job.metadata.annotations)['batchqueue.io/image']).toBe(`${REGISTRY}/missing:1.4.0`);
});

test.concurrent('without a right to ask, messages run by the tag as it is written', async () => {
  ecr.push('denied', '1');
  for (const operation of ['DescribeImages', 'BatchGetImage'])
    ecr.refuse(operation, 'AccessDeniedException', 'denied');
  const template = jobTemplate(`${REGISTRY}/denied:1`);
  const queue = await QueueCase.ready(stage, 'denied', { spec: { jobTemplate: template } });
  const condition = await queue.whenCondition('ImageResolved', {
    status: 'False',
    reason: 'ImageAccessDenied',
  });
  expect(condition.message).toContain('ecr:BatchGetImage');
  expect(await imageOfNext(queue)).toBe(`${REGISTRY}/denied:1`);
  expect((await queue.status()).revision).not.toHaveProperty('imageDigest');
});

test.concurrent('a new process finds the digest on the revision, and misses it when the repository has it no more', async () => {
  const digest = ecr.push('deleted', '1');
  const template = jobTemplate(`${REGISTRY}/deleted:1`);
  const first = await stage.startOperator({ cases: ['deleted'], ecr });
  const queue = await QueueCase.ready(stage, 'deleted', { spec: { jobTemplate: template } });
  await queue.whenCondition('ImageResolved', { status: 'True' });
  // Not killed: the emulator would let the polls of a process that is gone swallow messages.
  first.terminate();
  await first.exitCode();
  ecr.expire('deleted', '1');
  ecr.push('deleted', '1');

  await stage.startOperator({ cases: ['deleted'], ecr });
  const condition = await queue.whenCondition('ImageResolved', { status: 'False', reason: 'ImageDeleted' });
  expect(condition.message).toContain(digest);
  expect(condition.message).toContain('batchqueue.io/resolve-images');
  expect(await imageOfNext(queue)).toBe(`${REGISTRY}/deleted@${digest}`);
});

test.concurrent('images outside of ECR run as they are written', async () => {
  const queue = await QueueCase.ready(stage, 'outside', { spec: { jobTemplate: jobTemplate('python:3') } });
  await queue.whenCondition('ImageResolved', { status: 'True', reason: 'OutsideEcr' });
  expect(await imageOfNext(queue)).toBe('python:3');
});
