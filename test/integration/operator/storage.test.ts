import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { forbidden } from '../../faults/kubernetes-faults.ts';
import { KubernetesProxy } from '../../faults/kubernetes-proxy.ts';
import { eventually } from '../../support/eventually.ts';
import { apply, kubectl } from '../../support/kubectl.ts';
import { OperatorStage } from '../../support/operator-stage.ts';
import { QueueCase } from '../../support/queue-case.ts';
import { aStorageClass, aVolume, aVolumeClaim } from '../../support/volumes.ts';

const CASES = ['missing', 'released', 'tutorial', 'driver'];
const TUTORIAL_NFS = { path: '/', server: 'fs-0ff53d77cb74d6474.efs.us-east-1.amazonaws.com' };
const CLAIM = 'efs-claim';
let stage: OperatorStage;
jest.setTimeout(120_000);

beforeAll(async () => {
  stage = await OperatorStage.set([...CASES, 'hidden']);
  await stage.startOperator({ cases: CASES });
});

afterAll(async () => {
  await stage.clear();
});

/** A BatchQueue whose Jobs mount `efs-claim`, and a message that waits for them. */
async function start(name: string): Promise<{ queue: QueueCase; id: string }> {
  const queue = new QueueCase(stage, name, {
    maxReceiveCount: 3,
    spec: { storage: { claimName: CLAIM, mountPath: '/efs' } },
  });
  await queue.createQueue();
  const id = await queue.send('a message');
  await queue.apply();
  return { queue, id };
}

test.concurrent('a claim that is missing costs no message a receive, and heals within a minute', async () => {
  const { queue, id } = await start('missing');
  const told = await queue.whenCondition('StorageReady', { status: 'False', reason: 'VolumeClaimNotFound' });
  expect(told.message).toBe(
    'There is no PersistentVolumeClaim efs-claim in this namespace. Create it, or correct spec.storage.claimName.',
  );
  expect(await queue.whenCondition('Ready', { status: 'False' })).toMatchObject({
    reason: told.reason,
    message: told.message,
  });
  await queue.whenCondition('Dispatching', { status: 'False', reason: 'VolumeClaimNotFound' });
  expect(await queue.counts()).toEqual({ visible: 1, inFlight: 0 });
  expect(await queue.describe()).toContain('VolumeClaimNotFound');

  const storageClassName = queue.namespace;
  await apply(aVolume(queue.namespace, { storageClassName }));
  await apply(aVolumeClaim(queue.namespace, CLAIM, { storageClassName }));
  await queue.whenCondition('StorageReady', { status: 'True', reason: 'Bound' }, 60_000);
  await queue.succeed(await queue.jobOf(id));
  await queue.whenQueueIsEmpty();
  await eventually(
    () => queue.describe(),
    (shown) => shown.includes('Claim efs-claim is bound'),
    { what: 'the event that it is over' },
  );
});

test.concurrent('a volume that still points at a deleted claim: the command in the message frees it', async () => {
  const volume = stage.namespace('released');
  const storageClassName = volume;
  await apply(aVolume(volume, { storageClassName }));
  await apply(aVolumeClaim(volume, CLAIM, { storageClassName }));
  await kubectl('wait', 'pvc', CLAIM, '-n', volume, '--for=jsonpath={.status.phase}=Bound', '--timeout=30s');
  await kubectl('delete', 'pvc', CLAIM, '-n', volume);
  await kubectl('wait', 'pv', volume, '--for=jsonpath={.status.phase}=Released', '--timeout=30s');
  await apply(aVolumeClaim(volume, CLAIM, { storageClassName }));
  const { queue, id } = await start('released');

  const { message } = await queue.whenCondition('StorageReady', {
    status: 'False',
    reason: 'VolumeReleased',
  });
  const patch = `[{"op":"remove","path":"/spec/claimRef"}]`;
  expect(message).toContain(`kubectl patch pv ${volume} --type=json -p '${patch}'`);
  await kubectl('patch', 'pv', volume, '--type=json', '-p', patch);
  await queue.succeed(await queue.jobOf(id, 1, 60_000));
  await queue.whenCondition('Ready', { status: 'True', reason: 'Running' });
});

test.concurrent("the tutorial's volume runs Jobs, and is told to be what it is", async () => {
  const storageClassName = stage.namespace('tutorial');
  await apply(aStorageClass(storageClassName, 'efs.csi.aws.com'));
  await apply(aVolume(storageClassName, { storageClassName, nfs: TUTORIAL_NFS }));
  await apply(aVolumeClaim(storageClassName, CLAIM, { storageClassName }));
  const { queue, id } = await start('tutorial');

  await queue.jobOf(id);
  const { message } = await queue.whenCondition('StorageReady', { status: 'False', reason: 'EfsThroughNfs' });
  expect(message).toContain('csi: {driver: efs.csi.aws.com, volumeHandle: "fs-0ff53d77cb74d6474"}');
  expect(message).toContain('got volume');
  await queue.whenCondition('Ready', { status: 'True', reason: 'Running' });
});

test.concurrent('a class whose driver is not there makes no volume', async () => {
  const storageClassName = stage.namespace('driver');
  await apply(aStorageClass(storageClassName, 'files.csi.example.com'));
  await apply(aVolumeClaim(storageClassName, CLAIM, { storageClassName }));
  const { queue } = await start('driver');
  await queue.whenCondition('StorageReady', { status: 'False', reason: 'CSIDriverNotFound' }, 60_000);
  expect(await queue.counts()).toEqual({ visible: 1, inFlight: 0 });
});

test.concurrent('an operator that may not look at claims runs messages all the same', async () => {
  const proxy = await KubernetesProxy.start(stage.operatorKubeconfigPath());
  proxy.inject({ match: { resource: 'persistentvolumeclaims' }, fault: forbidden });
  const operator = await stage.startOperator({ cases: ['hidden'], through: proxy });
  const { queue, id } = await start('hidden');

  await queue.jobOf(id);
  const { message } = await queue.whenCondition('StorageReady', {
    status: 'Unknown',
    reason: 'CheckForbidden',
  });
  expect(message).toContain('get persistentvolumeclaims');
  await queue.whenCondition('Ready', { status: 'True', reason: 'Running' });
  await operator.kill();
  await proxy.stop();
});
