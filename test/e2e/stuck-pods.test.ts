import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { LABEL_MESSAGE_ID } from '../../operator/api/names.ts';
import { type BatchQueueStatus, batchQueueStatusSchema } from '../../operator/api/status.ts';
import type { RestClient } from '../../operator/kube/rest-client.ts';
import type { Transport } from '../../operator/kube/transport.ts';
import { claimFrom } from '../../operator/plan/claim.ts';
import type { KubeObject, Resource } from '../../operator/ports.ts';
import { BATCH_QUEUES, JOBS, PODS } from '../../operator/world.ts';
import { type Kubectl, kubectlFor } from '../cluster/kubectl.ts';
import { nodeCluster } from '../jest/clusters.ts';
import { installCrd } from '../support/crd.ts';
import { eventually, holdsFor } from '../support/eventually.ts';
import { connect } from '../support/kubernetes.ts';
import { OperatorProcess } from '../support/operator-process.ts';
import { conditionOf } from '../support/queue-case.ts';
import { type SqsEmulator, startSqsEmulator } from '../support/sqs-emulator.ts';

/** Kubelet, scheduler and Job controller try again after up to a minute. */
const HEALED_WITHIN_MS = 120_000;
const TOLD_WITHIN_MS = 75_000;
jest.setTimeout(300_000);

let kubectl: Kubectl;
let client: RestClient;
let transport: Transport;
let emulator: SqsEmulator;
let operator: OperatorProcess;

const NAMESPACES = ['image', 'secret', 'mount', 'claim', 'account', 'quota', 'evicted'].map(
  (name) => `stuck-${name}`,
);

beforeAll(async () => {
  const { kubeconfigPath } = nodeCluster();
  kubectl = kubectlFor(nodeCluster());
  ({ client, transport } = connect(kubeconfigPath));
  emulator = await startSqsEmulator();
  await installCrd(kubectl);
  await Promise.all(NAMESPACES.map((namespace) => kubectl.run('create', 'namespace', namespace)));
  operator = await OperatorProcess.start({
    kubeconfigPath,
    sqsEndpoint: emulator.endpoint,
    namespaces: NAMESPACES,
  });
});

afterAll(async () => {
  await Promise.all(
    NAMESPACES.map((namespace) =>
      kubectl.attempt(['delete', 'bq', '--all', '-n', namespace, '--timeout=60s']),
    ),
  );
  await operator.kill();
  await Promise.all(
    NAMESPACES.map((namespace) => kubectl.attempt(['delete', 'namespace', namespace, '--wait=false'])),
  );
  await kubectl.attempt(['delete', 'pv', 'stuck-claim']);
  await emulator.stop();
  await transport.close();
}, 120_000);

/** A program that is on the worker's image, and what its container adds to the template. */
function container(program: string, fields: object = {}): object {
  const command = ['node', '-e', program];
  return {
    name: 'worker',
    image: nodeCluster().workerImage,
    imagePullPolicy: 'IfNotPresent',
    command,
    ...fields,
  };
}

/** A BatchQueue `orders` in a namespace of its own, on a queue of its own. */
class StuckCase {
  readonly namespace: string;
  readonly #queueName: string;

  constructor(name: string) {
    this.namespace = `stuck-${name}`;
    this.#queueName = this.namespace;
  }

  async createQueue(messages: number): Promise<void> {
    await emulator.createQueue(this.#queueName);
    await Promise.all(
      Array.from({ length: messages }, (_, index) => emulator.send(this.#url(), `message ${index}`)),
    );
  }

  async apply(worker: object, pod: object = {}, spec: object = {}): Promise<void> {
    const template = {
      spec: {
        automountServiceAccountToken: false,
        terminationGracePeriodSeconds: 1,
        containers: [worker],
        ...pod,
      },
    };
    await this.applyObject({
      apiVersion: 'batchqueue.io/v1alpha1',
      kind: 'BatchQueue',
      metadata: { name: 'orders' },
      spec: {
        queue: { url: this.#url(), visibilityTimeoutSeconds: 30 },
        maxConcurrentJobs: 2,
        successfulJobsHistoryLimit: 100,
        jobTemplate: { spec: { template } },
        ...spec,
      },
    });
  }

  /** `kubectl apply` of an object of this name in this namespace. */
  async applyObject(object: KubeObject): Promise<void> {
    const metadata = { namespace: this.namespace, ...object.metadata };
    await kubectl.apply(JSON.stringify({ ...object, metadata }));
  }

  counts(): Promise<{ visible: number; inFlight: number }> {
    return emulator.counts(this.#url());
  }

  jobs(): Promise<readonly KubeObject[]> {
    return this.#list(JOBS);
  }

  pods(): Promise<readonly KubeObject[]> {
    return this.#list(PODS);
  }

  /** `Ready` has this reason; the words stand in `kubectl get -o wide` and in `kubectl describe`; intake is held. */
  async whenTold(reason: string, words: string): Promise<void> {
    await this.#whenReadySays(reason, TOLD_WITHIN_MS);
    const shown = await kubectl.run('get', 'bq', 'orders', '-o', 'wide', '-n', this.namespace);
    expect(shown).toMatch(/^orders\s+False\s/m);
    expect(shown).toContain(words);
    const described = await kubectl.run('describe', 'bq', 'orders', '-n', this.namespace);
    expect(described).toContain(words);
    expect(conditionOf(await this.#status(), 'Dispatching')).toMatchObject({ status: 'False', reason });
  }

  /** Everything that was sent is done, by Jobs that received their messages once, in their first attempt. */
  async whenHealed(messages: number): Promise<void> {
    await eventually(
      () => this.counts(),
      ({ visible, inFlight }) => visible + inFlight === 0,
      { what: `an empty queue in ${this.namespace}`, timeoutMs: HEALED_WITHIN_MS },
    );
    const claims = (await this.jobs()).map((job) => claimFrom(job));
    const done = claims.filter(({ outcome }) => outcome === 'succeeded');
    expect(new Set(done.map(({ job }) => job.metadata.labels?.[LABEL_MESSAGE_ID])).size).toBe(messages);
    expect(done).toHaveLength(messages);
    const ledgers = claims.flatMap(({ ledger }) => ledger ?? []);
    expect(new Set(ledgers.map(({ attempt }) => attempt))).toEqual(new Set([1]));
    const receives = ledgers.flatMap((ledger) => ledger.messages.map(({ receiveCount }) => receiveCount));
    expect(new Set(receives)).toEqual(new Set([1]));
    await this.#whenReadySays('Running');
  }

  async #whenReadySays(reason: string, timeoutMs = HEALED_WITHIN_MS): Promise<void> {
    await eventually(
      async () => conditionOf(await this.#status(), 'Ready'),
      (ready) => ready?.reason === reason,
      { what: `Ready with reason ${reason} in ${this.namespace}`, timeoutMs },
    );
  }

  async #status(): Promise<BatchQueueStatus> {
    const object = await client.get(BATCH_QUEUES, this.namespace, 'orders');
    return batchQueueStatusSchema.parse(object?.['status'] ?? {});
  }

  async #list(resource: Resource): Promise<readonly KubeObject[]> {
    return (await client.list(resource, { namespace: this.namespace })).items;
  }

  #url(): string {
    return `https://sqs.us-east-1.amazonaws.com/000000000000/${this.#queueName}`;
  }
}

// At most five run at once: those that take longest come first.
test.concurrent('a ServiceAccount that is missing', async () => {
  const queue = new StuckCase('account');
  await queue.createQueue(3);
  await queue.apply(container('0'), {}, { serviceAccountName: 'ecr-sa' });
  await queue.whenTold('ServiceAccountNotFound', 'serviceaccount "ecr-sa" not found');
  expect(await queue.counts()).toEqual({ visible: 1, inFlight: 2 });
  await queue.applyObject({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'ecr-sa' } });
  await queue.whenHealed(3);
});

test.concurrent('a quota that allows no pods', async () => {
  const queue = new StuckCase('quota');
  const spec = { hard: { pods: '0' } };
  await queue.applyObject({ apiVersion: 'v1', kind: 'ResourceQuota', metadata: { name: 'none' }, spec });
  await queue.createQueue(3);
  await queue.apply(container('0'));
  await queue.whenTold(
    'QuotaExceeded',
    'exceeded quota: none, requested: pods=1, used: pods=0, limited: pods=0',
  );
  expect(await queue.counts()).toEqual({ visible: 1, inFlight: 2 });
  await kubectl.run('delete', 'quota', 'none', '-n', queue.namespace);
  await queue.whenHealed(3);
});

test.concurrent('an image that cannot be pulled', async () => {
  const queue = new StuckCase('image');
  await queue.createQueue(20);
  await queue.apply(container('0', { image: 'localhost:1/nothing:1' }));
  await queue.whenTold('ImagePullFailing', 'failed to pull and unpack image');
  await queue.apply(container('0', { image: 'localhost:1/nothing:1' }), {}, { maxConcurrentJobs: 3 });
  // The change of the spec is worth a try with one message, and no more: the third slot is free for it alone.
  await eventually(
    () => queue.counts(),
    ({ inFlight }) => inFlight === 3,
    { what: 'one message more' },
  );
  await holdsFor(
    5_000,
    () => queue.counts(),
    ({ visible, inFlight }) => visible === 17 && inFlight === 3,
  );
  await queue.apply(container('0'), {}, { maxConcurrentJobs: 3 });
  await queue.whenHealed(20);
});

test.concurrent('a Secret that is missing as a volume', async () => {
  const queue = new StuckCase('mount');
  await queue.createQueue(3);
  const volumes = [{ name: 'settings', secret: { secretName: 'settings' } }];
  const volumeMounts = [{ name: 'settings', mountPath: '/settings' }];
  await queue.apply(container('require("fs").readFileSync("/settings/token")', { volumeMounts }), {
    volumes,
  });
  await queue.whenTold(
    'SecretNotFound',
    'MountVolume.SetUp failed for volume "settings" : secret "settings" not found',
  );
  expect(await queue.counts()).toEqual({ visible: 1, inFlight: 2 });
  await queue.applyObject(secretOf('settings', { token: 'x' }));
  await queue.whenHealed(3);
});

test.concurrent('a volume claim that is missing', async () => {
  const queue = new StuckCase('claim');
  await queue.createQueue(3);
  const storage = { claimName: 'efs-claim', mountPath: '/efs' };
  await queue.apply(container('require("fs").readdirSync("/efs")'), {}, { storage });
  await queue.whenTold('VolumeClaimNotFound', 'There is no PersistentVolumeClaim efs-claim');
  expect(await queue.counts()).toEqual({ visible: 3, inFlight: 0 });
  const size = { storage: '1Gi' };
  const access = { accessModes: ['ReadWriteMany'], storageClassName: 'stuck-claim' };
  const hostPath = { path: '/var/tmp', type: 'Directory' };
  const spec = { ...access, capacity: size, hostPath };
  await kubectl.apply(
    JSON.stringify({ apiVersion: 'v1', kind: 'PersistentVolume', metadata: { name: 'stuck-claim' }, spec }),
  );
  await queue.applyObject({
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name: 'efs-claim' },
    spec: { ...access, resources: { requests: size } },
  });
  await queue.whenHealed(3);
});

test.concurrent('a Secret that is missing in the environment', async () => {
  const queue = new StuckCase('secret');
  await queue.createQueue(5);
  const env = [{ name: 'TOKEN', valueFrom: { secretKeyRef: { name: 'settings', key: 'token' } } }];
  await queue.apply(container('process.exit(process.env.TOKEN === "x" ? 0 : 1)', { env }));
  await queue.whenTold('SecretNotFound', 'secret "settings" not found');
  expect(await queue.counts()).toEqual({ visible: 3, inFlight: 2 });
  await queue.applyObject(secretOf('settings', { token: 'x' }));
  await queue.whenHealed(5);
});

test.concurrent('a pod that is evicted is made again within its Job, at no cost', async () => {
  const waiting: ServerResponse[] = [];
  const gate = createServer((_, response) => waiting.push(response)).listen(0, nodeCluster().hostAddress);
  await once(gate, 'listening');
  const address = gate.address();
  if (address === null || typeof address === 'string') throw new Error('the gate does not listen');
  const queue = new StuckCase('evicted');
  await queue.createQueue(1);
  await queue.apply(container(`fetch('http://${nodeCluster().hostAddress}:${address.port}')`));
  await eventually(
    () => waiting.length,
    (count) => count === 1,
    { what: 'a worker at work', timeoutMs: HEALED_WITHIN_MS },
  );
  const [pod] = await queue.pods();
  const [job] = await queue.jobs();
  const { name = '' } = pod?.metadata ?? {};
  const eviction = { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name } };
  await kubectl.attempt(
    ['create', '--raw', `/api/v1/namespaces/${queue.namespace}/pods/${name}/eviction`, '-f', '-'],
    JSON.stringify(eviction),
  );
  await eventually(
    () => waiting.length,
    (count) => count === 2,
    { what: 'a second worker at work', timeoutMs: HEALED_WITHIN_MS },
  );
  waiting[1]?.end('done');
  await queue.whenHealed(1);
  const jobs = await queue.jobs();
  expect(jobs.map(({ metadata }) => metadata.uid)).toEqual([job?.metadata.uid]);
  expect(jobs[0]?.['status']).toMatchObject({ succeeded: 1 });
  gate.closeAllConnections();
  gate.close();
});

function secretOf(name: string, stringData: object): KubeObject {
  return { apiVersion: 'v1', kind: 'Secret', metadata: { name }, stringData };
}
