import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import type { OperatorError } from '../../operator/errors.ts';
import type { RestClient } from '../../operator/kube/rest-client.ts';
import type { Transport } from '../../operator/kube/transport.ts';
import { type Fault, forbidden, throttled, unavailable } from '../faults/kubernetes-faults.ts';
import { KubernetesProxy } from '../faults/kubernetes-proxy.ts';
import { integrationCluster } from '../jest/clusters.ts';
import {
  aConfigMap,
  CONFIG_MAPS,
  connect,
  createNamespace,
  JOBS,
  NAMESPACES,
} from '../support/kubernetes.ts';

// A loaded machine may need many times the fraction of a second that a test takes on an idle one.
jest.setTimeout(60_000);

let directory: string;
let proxy: KubernetesProxy;
let proxied: string;
let transport: Transport;
let client: RestClient;
let namespace: string;

beforeAll(async () => {
  const { kubeconfigPath } = integrationCluster();
  directory = await mkdtemp(path.join(tmpdir(), 'kube-rest-client-'));
  proxy = await KubernetesProxy.start(kubeconfigPath);
  proxied = path.join(directory, 'kubeconfig');
  await writeFile(proxied, proxy.kubeconfig());
  ({ client, transport } = connect(proxied));
  namespace = await createNamespace(client, 'rest');
}, 60_000);

afterAll(async () => {
  // All of it, also when a part fails: what stays open would keep the test run alive.
  await Promise.allSettled([client.delete(NAMESPACES, undefined, namespace)]);
  await Promise.all([transport.close(), proxy.stop(), rm(directory, { recursive: true })]);
});

async function errorOf(call: Promise<unknown>): Promise<OperatorError> {
  return await call.then(
    () => {
      throw new Error('the call did not fail');
    },
    (error: OperatorError) => error,
  );
}

/** What the call fails with while the fault strikes every request of this verb. */
async function errorUnder(fault: Fault, verb: string, call: () => Promise<unknown>): Promise<OperatorError> {
  const rule = proxy.inject({ match: { verb, namespace }, fault });
  try {
    const error = await errorOf(call());
    expect(rule.hits()).toBe(1);
    return error;
  } finally {
    rule.remove();
  }
}

describe('objects', () => {
  test('are created, read, patched and deleted as raw JSON, with fields that this version does not know', async () => {
    const created = await client.create(CONFIG_MAPS, namespace, aConfigMap('raw', { team: 'a' }));
    expect(created).toMatchObject({
      kind: 'ConfigMap',
      metadata: { namespace, labels: { team: 'a' } },
      data: { text: 'raw' },
    });

    const body = { metadata: { annotations: { note: 'x' } } };
    const patched = await client.patch(CONFIG_MAPS, namespace, 'raw', body, { type: 'merge' });
    expect(patched.metadata.annotations).toEqual({ note: 'x' });
    expect(await client.get(CONFIG_MAPS, namespace, 'raw')).toEqual(patched);

    const { uid = '' } = created.metadata;
    expect(await errorOf(client.delete(CONFIG_MAPS, namespace, 'raw', { uid: 'another' }))).toMatchObject({
      code: 'Conflict',
    });
    await client.delete(CONFIG_MAPS, namespace, 'raw', { uid });
    expect(await client.get(CONFIG_MAPS, namespace, 'raw')).toBeUndefined();
    await client.delete(CONFIG_MAPS, namespace, 'raw', { uid });
  });

  test('are applied by field owner and patched as JSON patch', async () => {
    const applied = await client.patch(CONFIG_MAPS, namespace, 'applied', aConfigMap('applied'), {
      type: 'apply',
      force: true,
    });
    expect(applied.metadata['managedFields']).toMatchObject([
      { manager: 'batchqueue-operator', operation: 'Apply' },
    ]);

    const operations = [{ op: 'replace', path: '/data/text', value: 'new' }];
    const patched = await client.patch(CONFIG_MAPS, namespace, 'applied', operations, { type: 'json' });
    expect(patched['data']).toEqual({ text: 'new' });
  });

  test('are patched strategically, which leaves what a patch does not name in a list', async () => {
    const finalizers = ['batchqueue.io/test', 'example.com/other'];
    const { metadata } = aConfigMap('listing');
    const created = await client.create(CONFIG_MAPS, namespace, {
      ...aConfigMap('listing'),
      metadata: { ...metadata, finalizers, annotations: { kept: 'yes' } },
    });
    const take = (finalizer: string, resourceVersion: string | undefined) => {
      const body = {
        metadata: {
          resourceVersion,
          annotations: { note: 'x' },
          '$deleteFromPrimitiveList/finalizers': [finalizer],
        },
      };
      return client.patch(CONFIG_MAPS, namespace, 'listing', body, { type: 'strategic' });
    };

    const patched = await take('batchqueue.io/test', created.metadata.resourceVersion);

    expect(patched.metadata).toMatchObject({
      finalizers: ['example.com/other'],
      annotations: { kept: 'yes', note: 'x' },
    });
    // As it was observed, or not at all.
    expect(await errorOf(take('example.com/other', created.metadata.resourceVersion))).toMatchObject({
      code: 'Conflict',
    });
    const last = await take('example.com/other', patched.metadata.resourceVersion);
    expect(last.metadata).not.toHaveProperty('finalizers');
  });

  test('answer a write with their metadata alone, if no more is asked for', async () => {
    const wish = { answer: 'metadata' } as const;
    const created = await client.create(CONFIG_MAPS, namespace, aConfigMap('large'), wish);
    expect(created).not.toHaveProperty('data');
    expect(created.metadata).toEqual((await client.get(CONFIG_MAPS, namespace, 'large'))?.metadata);

    const body = { metadata: { labels: { size: 'large' }, finalizers: ['batchqueue.io/test'] } };
    const options = { ...wish, type: 'merge' } as const;
    const patched = await client.patch(CONFIG_MAPS, namespace, 'large', body, options);

    expect(patched).not.toHaveProperty('data');
    expect(patched.metadata).toEqual((await client.get(CONFIG_MAPS, namespace, 'large'))?.metadata);
    expect(patched.metadata).toMatchObject(body.metadata);
    const free = { metadata: { finalizers: null } };
    await client.patch(CONFIG_MAPS, namespace, 'large', free, { type: 'merge' });
  });

  test('are only checked by a dry run', async () => {
    await client.create(CONFIG_MAPS, namespace, aConfigMap('dry'), { dryRun: true });

    expect(await client.get(CONFIG_MAPS, namespace, 'dry')).toBeUndefined();
  });

  test('are listed with the type that the server leaves to the list', async () => {
    await client.create(CONFIG_MAPS, namespace, aConfigMap('listed', { for: 'list' }));

    const list = await client.list(CONFIG_MAPS, { namespace, labelSelector: 'for=list' });

    expect(list.items).toMatchObject([{ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'listed' } }]);
    expect(list.continue).toBeUndefined();
    expect(Number(list.resourceVersion)).toBeGreaterThan(0);
  });
});

describe('errors', () => {
  test('of the server carry its words, the call, and no outcome in doubt', async () => {
    await client.create(CONFIG_MAPS, namespace, aConfigMap('twice'));
    const job = { apiVersion: 'batch/v1', kind: 'Job', metadata: { name: 'bad' }, spec: { template: {} } };
    const stale = { metadata: { resourceVersion: '1' } };

    const taken = await errorOf(client.create(CONFIG_MAPS, namespace, aConfigMap('twice')));
    const invalid = await errorOf(client.create(JOBS, namespace, job));
    const conflict = await errorOf(client.patch(CONFIG_MAPS, namespace, 'twice', stale, { type: 'merge' }));
    const missing = await errorOf(client.patch(CONFIG_MAPS, namespace, 'none', {}, { type: 'merge' }));
    const expired = await errorOf(client.list(CONFIG_MAPS, { namespace, limit: 1, continue: 'nonsense' }));

    expect(taken).toMatchObject({ code: 'AlreadyExists', verdict: 'terminal', outcomeUnknown: false });
    expect(taken.message).toBe(
      `create configmaps ${namespace}/twice: AlreadyExists: configmaps "twice" already exists`,
    );
    expect(invalid).toMatchObject({ code: 'Invalid', verdict: 'terminal', outcomeUnknown: false });
    expect(invalid.message).toContain('spec.template.spec.containers: Required value');
    expect(conflict).toMatchObject({ code: 'Conflict', verdict: 'retry', outcomeUnknown: false });
    expect(missing).toMatchObject({ code: 'NotFound', verdict: 'terminal' });
    expect(expired).toMatchObject({ code: 'Invalid' });
  });

  test('of a refusal say whether and when to come back', async () => {
    const call = async () => await client.create(CONFIG_MAPS, namespace, aConfigMap('refused'));

    expect(await errorUnder(throttled(7), 'create', call)).toMatchObject({
      code: 'Throttled',
      verdict: 'retry',
      retryAfterMs: 7000,
      outcomeUnknown: false,
    });
    expect(await errorUnder(forbidden, 'create', call)).toMatchObject({
      code: 'Forbidden',
      verdict: 'terminal',
    });
    expect(await errorUnder(unavailable, 'create', call)).toMatchObject({
      code: 'Unavailable',
      verdict: 'retry',
      outcomeUnknown: false,
    });
    expect(await client.get(CONFIG_MAPS, namespace, 'refused')).toBeUndefined();
  });

  test.each([
    { kind: 'drop-after-commit', code: 'Unavailable' },
    { kind: 'error500-after-commit', code: 'ServerError' },
  ] as const)(
    'of a create that was carried out without an answer ($kind) leave the outcome open',
    async ({ kind, code }) => {
      const error = await errorUnder({ kind }, 'create', async () => {
        await client.create(CONFIG_MAPS, namespace, aConfigMap(kind));
      });

      expect(error).toMatchObject({ code, verdict: 'retry', outcomeUnknown: true });
      expect(await client.get(CONFIG_MAPS, namespace, kind)).toMatchObject({ metadata: { name: kind } });
    },
  );

  test('of a read never leave an outcome open', async () => {
    const error = await errorUnder(
      { kind: 'reset' },
      'list',
      async () => await client.list(CONFIG_MAPS, { namespace }),
    );

    expect(error).toMatchObject({ code: 'Unavailable', outcomeUnknown: false });
  });

  test('of a call without an answer come at its timeout', async () => {
    const error = await errorUnder({ kind: 'blackhole' }, 'create', async () => {
      await client.create(CONFIG_MAPS, namespace, aConfigMap('lost'), { timeoutMs: 300 });
    });

    expect(error).toMatchObject({ code: 'RequestTimeout', verdict: 'retry', outcomeUnknown: true });
  });

  test('of a server that does not listen say that nothing was done', async () => {
    const nowhere = path.join(directory, 'nowhere');
    await writeFile(nowhere, proxy.kubeconfig().replace(/127\.0\.0\.1:\d+/, '127.0.0.1:1'));
    const lost = connect(nowhere);

    const error = await errorOf(lost.client.create(CONFIG_MAPS, namespace, aConfigMap('x')));
    await lost.transport.close();

    expect(error).toMatchObject({ code: 'Unavailable', verdict: 'retry', outcomeUnknown: false });
    expect(error.message).toContain('ECONNREFUSED');
  });
});

describe('connections', () => {
  test('are shared: 200 calls one after another and 200 at once never need more than the pool has', async () => {
    const pooled = connect(proxied, 8);
    const call = async () => await pooled.client.get(CONFIG_MAPS, namespace, 'kube-root-ca.crt');
    const before = proxy.connections();

    for (let count = 0; count < 200; count += 1) await call();
    const sequential = proxy.connections() - before;
    await Promise.all(Array.from({ length: 200 }, call));
    const parallel = proxy.connections() - before;
    await pooled.transport.close();

    expect(sequential).toBeLessThanOrEqual(2);
    expect(parallel).toBeLessThanOrEqual(8);
  });

  test.each(['get', 'delete'] as const)('outlive a %s', async (verb) => {
    const pooled = connect(proxied, 8);
    const before = proxy.connections();
    for (let count = 0; count < 20; count += 1) await pooled.client[verb](CONFIG_MAPS, namespace, 'nobody');
    const made = proxy.connections() - before;
    await pooled.transport.close();

    // Undici writes to a connection again only in the next round of the event loop, so that a second one may be opened.
    expect(made).toBeLessThanOrEqual(2);
  });

  test('are made anew when the certificates on disk change, while an open watch goes on', async () => {
    const authority = path.join(directory, 'ca.crt');
    await writeFile(authority, proxy.certificate());
    const config = JSON.parse(proxy.kubeconfig(), (key: string, value: unknown) =>
      key === 'certificate-authority-data' ? undefined : value,
    );
    config.clusters[0].cluster['certificate-authority'] = authority;
    const rotating = path.join(directory, 'rotating');
    await writeFile(rotating, JSON.stringify(config));
    const pooled = connect(rotating);
    const { resourceVersion } = await pooled.client.list(CONFIG_MAPS, { namespace });
    const options = { namespace, resourceVersion, timeoutSeconds: 30, allowWatchBookmarks: true };
    const watch = pooled.client.watch(CONFIG_MAPS, options, AbortSignal.timeout(20_000));
    await watch.next();
    const before = proxy.connections();

    await pooled.client.list(CONFIG_MAPS, { namespace });
    const unchanged = proxy.connections() - before;
    await writeFile(authority, `${proxy.certificate()}\n`);
    await pooled.client.create(CONFIG_MAPS, namespace, aConfigMap('rotated'));

    // The watch may hold the connection of the first list, or one of its own.
    expect(unchanged).toBeLessThanOrEqual(1);
    expect(proxy.connections() - before).toBe(unchanged + 1);
    expect(await watch.next()).toMatchObject({
      value: { type: 'ADDED', object: { metadata: { name: 'rotated' } } },
    });
    await pooled.transport.close();
  });

  test('survive the loss of every open one', async () => {
    await client.get(CONFIG_MAPS, namespace, 'kube-root-ca.crt');
    proxy.resetConnections();

    await expect(client.list(CONFIG_MAPS, { namespace })).resolves.toMatchObject({
      items: expect.anything(),
    });
  });

  test('are left to calls: each watch has one of its own, however many there are', async () => {
    const pooled = connect(proxied, 1);
    const { resourceVersion } = await pooled.client.list(CONFIG_MAPS, { namespace });
    const options = { namespace, resourceVersion, timeoutSeconds: 30, allowWatchBookmarks: true };
    const ending = new AbortController();

    const watches = Array.from({ length: 70 }, () =>
      pooled.client.watch(CONFIG_MAPS, options, ending.signal),
    );

    for (const opened of await Promise.all(watches.map((watch) => watch.next())))
      expect(opened).toEqual({ done: false, value: { type: 'OPENED' } });
    expect(await pooled.client.list(CONFIG_MAPS, { namespace })).toBeDefined();
    ending.abort();
    await pooled.transport.close();
  });
});
