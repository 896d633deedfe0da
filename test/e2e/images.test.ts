import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { batchQueueStatusSchema, type Condition } from '../../operator/api/status.ts';
import type { RestClient } from '../../operator/kube/rest-client.ts';
import type { Transport } from '../../operator/kube/transport.ts';
import { dockerConfigOf, loginFor } from '../../operator/plan/docker-config.ts';
import { BATCH_QUEUES, SECRETS } from '../../operator/world.ts';
import { type Kubectl, kubectlFor } from '../cluster/kubectl.ts';
import { nodeCluster } from '../jest/clusters.ts';
import { installCrd } from '../support/crd.ts';
import { ECR_ACCOUNT, EcrServer } from '../support/ecr-server.ts';
import { eventually } from '../support/eventually.ts';
import { connect } from '../support/kubernetes.ts';
import { OperatorProcess } from '../support/operator-process.ts';
import { conditionOf } from '../support/queue-case.ts';
import { type SqsEmulator, startSqsEmulator } from '../support/sqs-emulator.ts';

/** The image and the `regcred` of the tutorial, on a cluster with a real node (which is not of EKS). */

const NAMESPACE = 'tutorial-images';
const REGISTRY = `${ECR_ACCOUNT}.dkr.ecr.us-west-1.amazonaws.com`;
const REPOSITORY = 'batch-processing-repo';
const QUEUE = 'batch-processing';
const TIMEOUT_MS = 90_000;
jest.setTimeout(300_000);

let kubectl: Kubectl;
let client: RestClient;
let transport: Transport;
let emulator: SqsEmulator;
let ecr: EcrServer;
let operator: OperatorProcess;

beforeAll(async () => {
  const { kubeconfigPath } = nodeCluster();
  kubectl = kubectlFor(nodeCluster());
  ({ client, transport } = connect(kubeconfigPath));
  emulator = await startSqsEmulator();
  ecr = await EcrServer.start();
  await installCrd(kubectl);
  await kubectl.run('create', 'namespace', NAMESPACE);
  operator = await OperatorProcess.start({
    kubeconfigPath,
    sqsEndpoint: emulator.endpoint,
    ecrEndpoint: ecr.endpoint,
    namespaces: [NAMESPACE],
  });
}, 180_000);

afterAll(async () => {
  await kubectl.attempt(['delete', 'bq', '--all', '-n', NAMESPACE, '--timeout=60s']);
  await operator.kill();
  await kubectl.attempt(['delete', 'namespace', NAMESPACE, '--wait=false']);
  await emulator.stop();
  await ecr.stop();
  await transport.close();
}, 120_000);

async function applyQueue(imagePullSecret: object): Promise<void> {
  const image = `${REGISTRY}/${REPOSITORY}:latest`;
  const object = {
    apiVersion: 'batchqueue.io/v1alpha1',
    kind: 'BatchQueue',
    metadata: { name: QUEUE, namespace: NAMESPACE },
    spec: {
      queue: { url: `https://sqs.us-east-1.amazonaws.com/000000000000/${QUEUE}` },
      imagePullSecret,
      jobTemplate: { spec: { template: { spec: { containers: [{ name: 'batch-processor', image }] } } } },
    },
  };
  await kubectl.apply(JSON.stringify(object));
}

async function whenCondition(type: string, wanted: string): Promise<Condition> {
  const condition = await eventually(
    async () => {
      const object = await client.get(BATCH_QUEUES, NAMESPACE, QUEUE);
      return conditionOf(batchQueueStatusSchema.parse(object?.['status'] ?? {}), type);
    },
    (seen) => `${seen?.status} ${seen?.reason}` === wanted,
    { what: `${type}=${wanted}`, timeoutMs: TIMEOUT_MS },
  );
  if (!condition) throw new Error('the condition was just seen');
  return condition;
}

async function passwordInSecret(): Promise<unknown> {
  const secret = await client.get(SECRETS, NAMESPACE, 'regcred');
  const config = secret && dockerConfigOf(secret);
  return config && Object(loginFor(config, REGISTRY))['password'];
}

test('an image that is not built for the node, and a regcred that has run out, are told and put right', async () => {
  const [here, elsewhere] = process.arch === 'x64' ? ['amd64', 'arm64'] : ['arm64', 'amd64'];
  ecr.push(REPOSITORY, 'latest', [`linux/${elsewhere}`]);
  await emulator.createQueue(QUEUE);
  // Step 9, more than twelve hours ago.
  const expired = Buffer.from(JSON.stringify({ expiration: 1_700_000_000 })).toString('base64');
  const login = [`--docker-server=${REGISTRY}`, '--docker-username=AWS', `--docker-password=${expired}`];
  await kubectl.run('create', 'secret', 'docker-registry', 'regcred', '-n', NAMESPACE, ...login);
  await applyQueue({ name: 'regcred' });

  const { message } = await whenCondition('ImageResolved', 'False PlatformMissing');
  expect(message).toContain(
    `is built for linux/${elsewhere}, and nodes where its pods may run are linux/${here}`,
  );
  await whenCondition('PullSecretReady', 'False PullSecretExpired');
  await whenCondition('Ready', 'True Running');
  const described = await kubectl.run('describe', 'bq', QUEUE, '-n', NAMESPACE);
  for (const remedy of ['buildx build --platform', 'imagePullSecret.refresh to true'])
    expect(described).toContain(remedy);

  const digest = ecr.push(REPOSITORY, 'latest', ['linux/amd64', 'linux/arm64']);
  await kubectl.run('annotate', 'bq', QUEUE, '-n', NAMESPACE, 'batchqueue.io/resolve-images=anew');
  const resolved = await whenCondition('ImageResolved', 'True Resolved');
  expect(resolved.message).toContain(digest);

  await applyQueue({ name: 'regcred', refresh: true });
  await whenCondition('PullSecretReady', 'True Fresh');
  expect(ecr.passwords).toContain(await passwordInSecret());
  await kubectl.run('delete', 'secret', 'regcred', '-n', NAMESPACE);
  await eventually(passwordInSecret, (password) => ecr.passwords.includes(String(password)), {
    what: 'the deleted Secret to be whole again',
  });
});
