import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { dockerConfigOf, loginFor } from '../../../operator/plan/docker-config.ts';
import type { KubeObject } from '../../../operator/ports.ts';
import { SECRETS } from '../../../operator/world.ts';
import { ECR_ACCOUNT, EcrServer } from '../../support/ecr-server.ts';
import { eventually, holdsFor } from '../../support/eventually.ts';
import { apply, kubectl } from '../../support/kubectl.ts';
import { aConfigMap, CONFIG_MAPS } from '../../support/kubernetes.ts';
import { OperatorStage } from '../../support/operator-stage.ts';
import { jobTemplate, QueueCase } from '../../support/queue-case.ts';
import { blockPod } from '../../support/worker-pods.ts';

const CASES = ['taken', 'edited', 'foreign', 'shared', 'refused', 'unkept'];
const REGISTRY = `${ECR_ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com`;
const DUAL_STACK = `${ECR_ACCOUNT}.dkr-ecr.us-east-1.on.aws`;
const TOKENS = 'batchqueue.io/pull-tokens';
let stage: OperatorStage;
let ecr: EcrServer;
jest.setTimeout(120_000);

beforeAll(async () => {
  ecr = await EcrServer.start();
  ecr.push('worker', '1');
  stage = await OperatorStage.set(CASES);
  await stage.startOperator({ ecr });
});

afterAll(async () => {
  const said = [stage.output(), ...(await Promise.all(CASES.map(everythingToldIn)))].join('\n');
  // A token is nowhere but in the Secret: not in logs, events, status or annotations.
  for (const password of ecr.passwords) expect(said).not.toContain(password);
  await stage.clear();
  await ecr.stop();
});

async function everythingToldIn(name: string): Promise<string> {
  const namespace = stage.namespace(name);
  const objects = await kubectl('get', 'batchqueues,events,jobs', '-n', namespace, '-o', 'json');
  return objects + (await kubectl('describe', 'secrets', '-n', namespace));
}

function keeping(hosts: readonly string[] = [REGISTRY], name = 'regcred') {
  const containers = hosts.map((host, index) => ({
    name: index === 0 ? 'worker' : `other-${index}`,
    image: `${host}/worker:1`,
  }));
  return {
    imagePullSecret: { name, refresh: true },
    jobTemplate: { spec: { template: { spec: { containers } } } },
  };
}

async function secretOf({ namespace }: QueueCase, name = 'regcred'): Promise<KubeObject | undefined> {
  return await stage.client.get(SECRETS, namespace, name);
}

/** The password that the Secret holds for a host. */
function passwordIn(secret: KubeObject | undefined, host = REGISTRY): string | undefined {
  const config = secret && dockerConfigOf(secret);
  const password: unknown = config && Object(loginFor(config, host))['password'];
  return typeof password === 'string' ? password : undefined;
}

/** Waits until the Secret holds a token that ECR gave out. */
async function whenWhole(
  queue: QueueCase,
  accept: (password: string) => boolean = () => true,
): Promise<KubeObject> {
  const found = await eventually(
    () => secretOf(queue),
    (secret) => {
      const password = passwordIn(secret);
      return password !== undefined && ecr.passwords.includes(password) && accept(password);
    },
    { what: `a whole pull secret in ${queue.namespace}` },
  );
  if (!found) throw new Error('the Secret was just seen');
  return found;
}

/** As the tutorial's step 9 makes it. */
async function createByHand(queue: QueueCase, server = REGISTRY): Promise<void> {
  const flags = ['--docker-server', server, '--docker-username', 'AWS', '--docker-password', 'made by hand'];
  await kubectl('create', 'secret', 'docker-registry', 'regcred', '-n', queue.namespace, ...flags);
}

async function patch(queue: QueueCase, body: object): Promise<void> {
  await stage.client.patch(SECRETS, queue.namespace, 'regcred', body, { type: 'merge' });
}

/** What is remembered of its tokens, made this old. */
function aged(secret: KubeObject, ageMs: number): object {
  const records: Record<string, object> = JSON.parse(secret.metadata.annotations?.[TOKENS] ?? '{}');
  const issued = new Date(Date.now() - ageMs).toISOString();
  const older = Object.entries(records).map(([host, record]) => [host, { ...record, issued }]);
  return { metadata: { annotations: { [TOKENS]: JSON.stringify(Object.fromEntries(older)) } } };
}

test.concurrent("the tutorial's regcred is taken over, with what it holds for other registries", async () => {
  const queue = new QueueCase(stage, 'taken', { spec: keeping([REGISTRY, DUAL_STACK]) });
  await createByHand(queue);
  const auths = { ...dockerConfigOf((await secretOf(queue)) ?? { metadata: { name: '' } })?.auths };
  const config = JSON.stringify({ auths: { ...auths, 'ghcr.io': { auth: 'bWU6bWluZQ==' } } });
  await patch(queue, { data: { '.dockerconfigjson': Buffer.from(config).toString('base64') } });
  await queue.createQueue();
  await queue.apply();
  await queue.whenCondition('PullSecretReady', { status: 'True', reason: 'Fresh' });

  const secret = await whenWhole(queue);
  expect(passwordIn(secret, DUAL_STACK)).toBeDefined();
  expect(dockerConfigOf(secret)?.auths['ghcr.io']).toEqual({ auth: 'bWU6bWluZQ==' });
  expect(secret.metadata.ownerReferences).toBeUndefined();
  const job = await queue.jobOf(await queue.send('message'));
  expect(Object(job['spec']).template.spec.imagePullSecrets).toEqual([{ name: 'regcred' }]);
  expect(job.metadata.ownerReferences).toHaveLength(1);

  await kubectl('delete', 'bq', queue.name, '-n', queue.namespace, '--timeout=60s');
  expect(passwordIn(await secretOf(queue))).toBeDefined();
});

test.concurrent('a pull secret that is edited, deleted or old is whole again in seconds', async () => {
  const queue = await QueueCase.ready(stage, 'edited', { spec: keeping() });
  const made = await whenWhole(queue);
  expect(made['type']).toBe('kubernetes.io/dockerconfigjson');
  expect(made.metadata.ownerReferences).toMatchObject([{ kind: 'BatchQueue', name: queue.name }]);

  await patch(queue, { data: { '.dockerconfigjson': Buffer.from('{"auths":{}}').toString('base64') } });
  await whenWhole(queue);
  await patch(queue, { metadata: { labels: { 'batchqueue.io/pull-secret': null } } });
  await eventually(
    () => secretOf(queue),
    (secret) => secret?.metadata.labels?.['batchqueue.io/pull-secret'] !== undefined,
    { what: 'the label' },
  );
  await kubectl('delete', 'secret', 'regcred', '-n', queue.namespace);
  const again = await whenWhole(queue);
  const before = passwordIn(again);
  await patch(queue, aged(again, 7 * 3_600_000));
  await whenWhole(queue, (password) => password !== before);
  await queue.whenCondition('PullSecretReady', { status: 'True', reason: 'Fresh' });

  // And then nobody writes any more.
  const { resourceVersion } = (await whenWhole(queue)).metadata;
  await holdsFor(
    3_000,
    async () => (await secretOf(queue))?.metadata.resourceVersion,
    (seen) => seen === resourceVersion,
  );
});

test.concurrent("somebody else's Secret is left alone and reported", async () => {
  const queue = new QueueCase(stage, 'foreign', { spec: keeping() });
  const secret = {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'regcred', namespace: queue.namespace },
  };
  await apply({ ...secret, type: 'Opaque', stringData: { key: 'value' } });
  const keeper = { ...aConfigMap('keeper'), metadata: { name: 'keeper', namespace: queue.namespace } };
  const { uid } = (await stage.client.create(CONFIG_MAPS, queue.namespace, keeper)).metadata;
  const owned = {
    ...secret,
    metadata: {
      ...secret.metadata,
      name: 'owned',
      ownerReferences: [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'keeper', uid, controller: true }],
    },
    type: 'kubernetes.io/dockerconfigjson',
    stringData: { '.dockerconfigjson': '{"auths":{}}' },
  };
  await queue.createQueue();
  await queue.apply();
  await queue.whenCondition('PullSecretReady', { status: 'False', reason: 'WrongSecretType' });
  await queue.whenCondition('Ready', { status: 'True' });
  await apply(owned);
  await queue.apply(keeping([REGISTRY], 'owned'));
  const condition = await queue.whenCondition('PullSecretReady', {
    status: 'False',
    reason: 'SecretOwnedByOther',
  });
  expect(condition.message).toContain('ConfigMap keeper');
  expect((await secretOf(queue))?.['data']).toEqual({ key: Buffer.from('value').toString('base64') });
});

test.concurrent('BatchQueues that share a Secret do not fight, and it goes with the last of them', async () => {
  const one = new QueueCase(stage, 'shared', { name: 'one', spec: keeping() });
  const two = new QueueCase(stage, 'shared', { name: 'two', spec: keeping([DUAL_STACK]) });
  for (const queue of [one, two]) {
    await queue.createQueue();
    await queue.apply();
  }
  for (const queue of [one, two])
    await queue.whenCondition('PullSecretReady', { status: 'True', reason: 'Fresh' });
  const secret = await whenWhole(one);
  expect(passwordIn(secret, DUAL_STACK)).toBeDefined();
  expect(secret.metadata.ownerReferences?.map(({ name }) => name).toSorted()).toEqual(['one', 'two']);
  await holdsFor(
    2_000,
    async () => (await secretOf(one))?.metadata.resourceVersion,
    (seen) => seen === secret.metadata.resourceVersion,
  );
  await kubectl('delete', 'bq', 'one', '-n', one.namespace, '--timeout=60s');
  expect(await secretOf(one)).toBeDefined();
  await kubectl('delete', 'bq', 'two', '-n', one.namespace, '--timeout=60s');
  await eventually(
    () => secretOf(one),
    (seen) => seen === undefined,
    { what: 'the Secret to go', timeoutMs: 60_000 },
  );
});

test.concurrent('pods that a registry refuses have an older token replaced at once', async () => {
  const queue = await QueueCase.ready(stage, 'refused', { spec: keeping() });
  const secret = await whenWhole(queue);
  const before = passwordIn(secret);
  await patch(queue, aged(secret, 11 * 60_000));
  const job = await queue.jobOf(await queue.send('message'));
  const message = `failed to pull image "${REGISTRY}/worker:1": failed to authorize: 403 Forbidden`;
  await blockPod(stage.client, job, { reason: 'ErrImagePull', message });
  await whenWhole(queue, (password) => password !== before);
});

test.concurrent('a pull secret that nobody refreshes is looked at all the same', async () => {
  const imagePullSecret = { name: 'regcred' };
  const template = jobTemplate(`${REGISTRY}/worker:1`);
  const queue = await QueueCase.ready(stage, 'unkept', { spec: { imagePullSecret, jobTemplate: template } });
  await queue.whenCondition('PullSecretReady', { status: 'False', reason: 'PullSecretNotFound' });
  const expired = Buffer.from(JSON.stringify({ expiration: 1_700_000_000 })).toString('base64');
  const flags = ['--docker-server', REGISTRY, '--docker-username', 'AWS', '--docker-password', expired];
  await kubectl('create', 'secret', 'docker-registry', 'regcred', '-n', queue.namespace, ...flags);
  const condition = await queue.whenCondition(
    'PullSecretReady',
    { status: 'False', reason: 'PullSecretExpired' },
    60_000,
  );
  expect(condition.message).toContain('2023-11-14T22:13:20Z');
  expect(condition.message).toContain('refresh to true');
});

test.concurrent('a token that is refused is reported, and messages run', async () => {
  const other = await EcrServer.start();
  other.push('worker', '1');
  other.refuse('GetAuthorizationToken', 'AccessDeniedException');
  await stage.addCase('no-token');
  const operator = await stage.startOperator({ cases: ['no-token'], ecr: other });
  const queue = await QueueCase.ready(stage, 'no-token', { spec: keeping() });
  const condition = await queue.whenCondition('PullSecretReady', {
    status: 'False',
    reason: 'PullTokenDenied',
  });
  expect(condition.message).toContain('ecr:GetAuthorizationToken');
  await queue.jobOf(await queue.send('message'));
  await operator.kill();
  await other.stop();
});
