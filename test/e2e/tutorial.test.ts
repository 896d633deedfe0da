import { chown, mkdir, readFile, rm, symlink } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { makeVolume } from '../../deploy/demo/environment.ts';
import { batchQueueStatusSchema, type Condition } from '../../operator/api/status.ts';
import type { RestClient } from '../../operator/kube/rest-client.ts';
import type { Transport } from '../../operator/kube/transport.ts';
import { BATCH_QUEUES } from '../../operator/world.ts';
import { type Kubectl, kubectlFor } from '../cluster/kubectl.ts';
import { nodeCluster } from '../jest/clusters.ts';
import { installCrd } from '../support/crd.ts';
import { eventually } from '../support/eventually.ts';
import { connect } from '../support/kubernetes.ts';
import { OperatorProcess } from '../support/operator-process.ts';
import { conditionOf } from '../support/queue-case.ts';
import { type SqsEmulator, startSqsEmulator } from '../support/sqs-emulator.ts';
import { aStorageClass, aVolume, aVolumeClaim } from '../support/volumes.ts';

/**
 * The manifests of the tutorial on SQS and EFS, field for field; what is called `efs-pv` and `efs-sc` there has other names
 * here, because it is the whole cluster's.
 */

const NAMESPACE = 'tutorial';
const VOLUME = 'tutorial-efs-pv';
const CLASS = 'tutorial-efs-sc';
const CLAIM = 'efs-claim';
const NFS = { path: '/', server: 'fs-0ff53d77cb74d6474.efs.us-east-1.amazonaws.com' };
const ECR = '123456789012.dkr.ecr.us-west-1.amazonaws.com';
/** As ECR's tokens are: it says itself that it has run out. */
const OLD_TOKEN = Buffer.from(JSON.stringify({ payload: 'x', expiration: 1_600_000_000 })).toString('base64');
/** Of the worker's image. */
const NONROOT_ID = 65_532;
/** Kubelet, scheduler and Job controller try again after up to two minutes. */
const TIMEOUT_MS = 180_000;
jest.setTimeout(300_000);

let kubectl: Kubectl;
let client: RestClient;
let transport: Transport;
let emulator: SqsEmulator;
let operator: OperatorProcess;
let directory: string;

beforeAll(async () => {
  const { kubeconfigPath, name } = nodeCluster();
  kubectl = kubectlFor(nodeCluster());
  ({ client, transport } = connect(kubeconfigPath));
  emulator = await startSqsEmulator();
  directory = await makeVolume(`tutorial-${name}`);
  await installCrd(kubectl);
  await kubectl.run('create', 'namespace', NAMESPACE);
  operator = await OperatorProcess.start({
    kubeconfigPath,
    sqsEndpoint: emulator.endpoint,
    namespaces: [NAMESPACE],
  });
  // Steps 2 and 9.
  await kubectl.run('create', 'serviceaccount', 'ecr-sa', '-n', NAMESPACE);
  const login = [`--docker-server=${ECR}`, '--docker-username=AWS', `--docker-password=${OLD_TOKEN}`];
  await kubectl.run('create', 'secret', 'docker-registry', 'regcred', '-n', NAMESPACE, ...login);
  // The class is from the tutorial before it.
  await apply(aStorageClass(CLASS, 'efs.csi.aws.com'));
}, 180_000);

afterAll(async () => {
  await kubectl.attempt(['delete', 'bq', '--all', '-n', NAMESPACE, '--timeout=60s']);
  await operator.kill();
  await kubectl.attempt(['delete', 'namespace', NAMESPACE, '--wait=false']);
  await kubectl.attempt(['delete', 'pv', VOLUME, `${VOLUME}-2`, `${VOLUME}-3`, '--wait=false']);
  await kubectl.attempt(['delete', 'storageclass', CLASS]);
  await emulator.stop();
  await transport.close();
  await rm(directory, { recursive: true, force: true });
}, 120_000);

function apply(object: object): Promise<void> {
  return kubectl.apply(JSON.stringify(object));
}

/** `eks-batch-job-queue` with SQS's default settings; returns its URL. */
async function createQueue(name: string): Promise<string> {
  await emulator.createQueue(name);
  return `https://sqs.us-east-1.amazonaws.com/000000000000/${name}`;
}

interface Wanted {
  readonly url: string;
  readonly claimName?: string;
  readonly subPath?: string;
  /** Default: the image of the tutorial. */
  readonly worker?: object;
}

/** The tutorial's `new-batch-processing-job-queue`, as a BatchQueue. */
async function applyBatchQueue(
  name: string,
  { url, claimName = CLAIM, subPath, worker }: Wanted,
): Promise<void> {
  const image = `${ECR}/batch-processing-repo:latest`;
  const env = [{ name: 'SQS_QUEUE_URL', value: url }];
  await apply({
    apiVersion: 'batchqueue.io/v1alpha1',
    kind: 'BatchQueue',
    metadata: { name, namespace: NAMESPACE },
    spec: {
      queue: { url },
      serviceAccountName: 'ecr-sa',
      storage: { claimName, mountPath: '/efs', ...(subPath !== undefined && { subPath }) },
      imagePullSecret: { name: 'regcred' },
      jobTemplate: {
        spec: { template: { spec: { containers: [{ name: 'batch-processor', env, image, ...worker }] } } },
      },
    },
  });
}

/** A worker that is on the node already. */
function running(program: string): object {
  const { workerImage: image } = nodeCluster();
  return { image, imagePullPolicy: 'IfNotPresent', command: ['node', '-e', program] };
}

const WRITES = running('require("fs").writeFileSync("/efs/out/output.csv", "1,10\\n")');

async function whenCondition(name: string, type: string, wanted: string): Promise<Condition> {
  const condition = await eventually(
    async () => {
      const object = await client.get(BATCH_QUEUES, NAMESPACE, name);
      return conditionOf(batchQueueStatusSchema.parse(object?.['status'] ?? {}), type);
    },
    (seen) => `${seen?.status} ${seen?.reason}` === wanted,
    { what: `${type}=${wanted} of ${name}`, timeoutMs: TIMEOUT_MS },
  );
  if (!condition) throw new Error('the condition was just seen');
  return condition;
}

async function whenEmpty(url: string): Promise<void> {
  await eventually(
    () => emulator.counts(url),
    ({ visible, inFlight }) => visible + inFlight === 0,
    { what: 'an empty queue', timeoutMs: TIMEOUT_MS },
  );
}

/** A volume on a directory of this machine, which stands for EFS, and the claim on it. */
async function applyFiles(name: string, claimName: string): Promise<void> {
  const storageClassName = name;
  await apply(aVolume(name, { storageClassName, hostPath: { path: directory, type: 'Directory' } }));
  await apply(aVolumeClaim(NAMESPACE, claimName, { storageClassName, volumeName: name }));
}

test('as written: what is wrong is told before a message is lost to it, and the words are enough to put it right', async () => {
  // Step 11.
  await apply(aVolume(VOLUME, { volumeMode: 'Filesystem', storageClassName: CLASS, nfs: NFS }));
  await apply(aVolumeClaim(NAMESPACE, CLAIM, { storageClassName: CLASS }));
  // Steps 8, 10 and 12.
  const url = await createQueue('eks-batch-job-queue');
  await applyBatchQueue('batch-processing', { url, worker: WRITES });

  const redrive = await whenCondition('batch-processing', 'DeadLetterConfigured', 'False NoRedrivePolicy');
  expect(redrive.message).toContain('Set RedrivePolicy on the queue');
  const { message } = await whenCondition('batch-processing', 'StorageReady', 'False EfsThroughNfs');
  const handle = 'csi: {driver: efs.csi.aws.com, volumeHandle: "fs-0ff53d77cb74d6474"}';
  expect(message).toContain(handle);
  expect(message).toContain(`class ${CLASS} also makes volumes on demand`);
  await whenCondition('batch-processing', 'Ready', 'True Running');
  const described = await kubectl.run('describe', 'bq', 'batch-processing', '-n', NAMESPACE);
  for (const words of ['NoRedrivePolicy', 'EfsThroughNfs', handle]) expect(described).toContain(words);

  // There is no such file system: the pod hangs, and its message is not lost.
  await emulator.send(url, 'a message');
  const hanging = await whenCondition('batch-processing', 'StorageReady', 'False VolumeNotMounted');
  expect(hanging.message).toContain('MountVolume.SetUp failed');
  expect(hanging.message).toContain(handle);
  await whenCondition('batch-processing', 'Ready', 'False VolumeNotMounted');

  await applyFiles(`${VOLUME}-2`, 'efs-claim-2');
  await applyBatchQueue('batch-processing', { url, claimName: 'efs-claim-2', worker: WRITES });
  await whenEmpty(url);
  await whenCondition('batch-processing', 'StorageReady', 'True Bound');
  expect(await readFile(path.join(directory, 'out', 'output.csv'), 'utf8')).toBe('1,10\n');

  // What its clean-up leaves: the claim is deleted and made again, the volume is kept.
  await kubectl.run('delete', 'bq', 'batch-processing', '-n', NAMESPACE, '--timeout=60s');
  await kubectl.run('delete', 'pvc', 'efs-claim-2', '-n', NAMESPACE, '--timeout=120s');
  await applyFiles(`${VOLUME}-2`, 'efs-claim-2');
  await applyBatchQueue('again', { url, claimName: 'efs-claim-2', worker: WRITES });
  const released = await whenCondition('again', 'StorageReady', 'False VolumeReleased');
  const patch = `[{"op":"remove","path":"/spec/claimRef"}]`;
  expect(released.message).toContain(`kubectl patch pv ${VOLUME}-2 --type=json -p '${patch}'`);
  await kubectl.run('patch', 'pv', `${VOLUME}-2`, '--type=json', '-p', patch);
  await whenCondition('again', 'Ready', 'True Running');
});

test.concurrent('a directory of the claim confines the Jobs of a BatchQueue', async () => {
  await applyFiles(`${VOLUME}-3`, 'shared');
  const own = path.join(directory, 'orders', 'out');
  await mkdir(own, { recursive: true });
  for (const made of [path.dirname(own), own]) await chown(made, NONROOT_ID, NONROOT_ID);
  const url = await createQueue('confined');
  const program = `
    const fs = require('fs');
    const seen = fs.readdirSync('/efs').concat(fs.readdirSync('/efs/..').filter((name) => name === 'orders'));
    fs.writeFileSync('/efs/out/seen', seen.join());`;
  await applyBatchQueue('confined', {
    url,
    claimName: 'shared',
    subPath: 'orders',
    worker: running(program),
  });
  await emulator.send(url, 'a message');
  await whenEmpty(url);
  expect(await readFile(path.join(own, 'seen'), 'utf8')).toBe('out');

  await symlink('/etc', path.join(directory, 'way-out'));
  const leaves = await createQueue('leaves');
  await emulator.send(leaves, 'a message');
  await applyBatchQueue('leaves', {
    url: leaves,
    claimName: 'shared',
    subPath: 'way-out',
    worker: running('0'),
  });
  const { message } = await whenCondition('leaves', 'Ready', 'False CreateContainerConfigError');
  expect(message).toContain('failed to prepare subPath');
});

test.concurrent('the hand-made pull secret, which nobody refreshes, is told to have run out', async () => {
  const url = await createQueue('pulls');
  await applyBatchQueue('pulls', { url });
  const { message } = await whenCondition('pulls', 'PullSecretReady', 'False PullSecretExpired');
  expect(message).toContain('Set spec.imagePullSecret.refresh to true.');
  expect(message).not.toContain(OLD_TOKEN);
});
