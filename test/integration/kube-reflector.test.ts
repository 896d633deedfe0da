import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { Reflector } from '../../operator/kube/reflector.ts';
import type { RestClient } from '../../operator/kube/rest-client.ts';
import type { Transport } from '../../operator/kube/transport.ts';
import { waitFor } from '../cluster/wait.ts';
import { gone } from '../faults/kubernetes-faults.ts';
import { KubernetesProxy } from '../faults/kubernetes-proxy.ts';
import { integrationCluster } from '../jest/clusters.ts';
import { aConfigMap, CONFIG_MAPS, connect, createNamespace, NAMESPACES } from '../support/kubernetes.ts';
import { MemoryLog } from '../support/logs.ts';
import { realClock } from '../support/real-clock.ts';

// A loaded machine may need many times the fraction of a second that a test takes on an idle one.
jest.setTimeout(60_000);

const OBJECTS = 1200;
/** Longer than a write may take on a loaded machine: two silences in a row would lead to a list. */
const INACTIVITY_MS = 5000;

let directory: string;
let proxy: KubernetesProxy;
let transport: Transport;
let client: RestClient;
/** Not through the proxy: changes the world while the faults strike. */
let direct: ReturnType<typeof connect>;
let namespace: string;
let reflector: Reflector;
let changed: string[];
let pages: number;

beforeAll(async () => {
  const { kubeconfigPath } = integrationCluster();
  directory = await mkdtemp(path.join(tmpdir(), 'kube-reflector-'));
  proxy = await KubernetesProxy.start(kubeconfigPath);
  const proxied = path.join(directory, 'kubeconfig');
  await writeFile(proxied, proxy.kubeconfig());
  ({ client, transport } = connect(proxied));
  direct = connect(kubeconfigPath);
  namespace = await createNamespace(direct.client, 'reflector');
  await createMany();
}, 120_000);

afterAll(async () => {
  // All of it, also when a part fails: what stays open would keep the test run alive.
  await Promise.allSettled([direct.client.delete(NAMESPACES, undefined, namespace)]);
  await Promise.all([
    transport.close(),
    direct.transport.close(),
    proxy.stop(),
    rm(directory, { recursive: true }),
  ]);
});

beforeEach(async () => {
  changed = [];
  const before = requestCount('list');
  reflector = new Reflector({
    client,
    resource: CONFIG_MAPS,
    namespace,
    labelSelector: 'watched=yes',
    clock: realClock,
    random: Math.random,
    log: new MemoryLog(),
    onChange: (object) => changed.push(object.metadata.name),
    inactivityMs: INACTIVITY_MS,
  });
  reflector.start();
  await reflector.whenSynced();
  changed.length = 0;
  pages = requestCount('list') - before;
}, 30_000);

afterEach(async () => {
  // Also those of a test that failed half-way: the tests behind it would fail for it.
  proxy.removeRules();
  await reflector.stop();
});

/** In a few lanes, so that a machine with little to spare is not flooded. */
async function createMany(): Promise<void> {
  const names = Array.from({ length: OBJECTS }, (_, index) => `item-${index}`);
  const lane = async (): Promise<void> => {
    for (let name = names.pop(); name !== undefined; name = names.pop()) {
      await direct.client.create(CONFIG_MAPS, namespace, aConfigMap(name, { watched: 'yes' }));
    }
  };
  await Promise.all(Array.from({ length: 8 }, lane));
}

async function seen(name: string): Promise<void> {
  await waitFor(async () => reflector.store.get(namespace, name) !== undefined, {
    what: `${name} in the store`,
    timeoutMs: 20_000,
  });
}

async function watchOpened(): Promise<void> {
  await waitFor(async () => proxy.openWatches({ namespace }) === 1, {
    what: 'an open watch',
    timeoutMs: 20_000,
  });
}

function requestCount(verb: string): number {
  return proxy.requests({ verb, namespace }).length;
}

async function touch(name: string): Promise<void> {
  await direct.client.create(CONFIG_MAPS, namespace, aConfigMap(name, { watched: 'yes' }));
}

describe('a reflector', () => {
  test('reads a collection in pages and drops what nobody needs', () => {
    expect(reflector.store.size).toBeGreaterThanOrEqual(OBJECTS);
    expect(reflector.store.get(namespace, 'item-7')).toMatchObject({
      kind: 'ConfigMap',
      data: { text: 'item-7' },
    });
    expect(reflector.store.get(namespace, 'item-7')?.metadata['managedFields']).toBeUndefined();
    // 500, 500 and the rest.
    expect(pages).toBe(3);
  });

  test('follows additions, changes, deletions and objects that leave its selection', async () => {
    await touch('followed');
    await seen('followed');
    const leave = { metadata: { labels: { watched: 'no' } } };
    await direct.client.patch(CONFIG_MAPS, namespace, 'followed', leave, { type: 'merge' });
    await touch('deleted');
    await direct.client.delete(CONFIG_MAPS, namespace, 'deleted');
    await touch('last');
    await seen('last');

    expect(reflector.store.get(namespace, 'followed')).toBeUndefined();
    expect(reflector.store.get(namespace, 'deleted')).toBeUndefined();
    expect(changed).toEqual(['followed', 'followed', 'deleted', 'deleted', 'last']);
    expect(reflector.restarts()).toBe(0);
  });

  test('sees its own write at once and is not set back by the events that follow', async () => {
    const mine = await direct.client.create(CONFIG_MAPS, namespace, aConfigMap('mine', { watched: 'yes' }));
    const later = await direct.client.patch(
      CONFIG_MAPS,
      namespace,
      'mine',
      { data: { text: 'later' } },
      { type: 'merge' },
    );
    reflector.store.put(later);
    expect(reflector.store.put(mine)).toBe(false);
    await touch('after-mine');
    await seen('after-mine');

    expect(reflector.store.get(namespace, 'mine')).toMatchObject({ data: { text: 'later' } });
  });

  test('notices a watch that went silent and goes on without a new list', async () => {
    const lists = requestCount('list');
    await watchOpened();
    const silence = proxy.inject({ match: { verb: 'watch', namespace }, fault: { kind: 'silence-watch' } });
    expect(silence.hits()).toBe(1);
    silence.remove();
    await touch('silent');
    await seen('silent');

    expect(requestCount('list')).toBe(lists);
    expect(reflector.restarts()).toBeGreaterThanOrEqual(1);
    expect(reflector.staleForMs()).toBeLessThan(INACTIVITY_MS + 1000);
  });

  test('survives resets of all its connections without missing what happened meanwhile', async () => {
    const lists = requestCount('list');
    for (const name of ['reset-1', 'reset-2', 'reset-3']) {
      proxy.resetConnections();
      await touch(name);
      await seen(name);
    }

    expect(requestCount('list')).toBe(lists);
  });

  test.each([
    { how: 'as the answer', fault: gone },
    { how: 'in the stream', fault: { kind: 'gone-in-stream' } },
  ] as const)('lists again when its resourceVersion is gone, told $how', async ({ how, fault }) => {
    const name = how.replaceAll(' ', '-');
    const lists = requestCount('list');
    const rule = proxy.inject({ match: { verb: 'watch', namespace }, nth: 1, fault });
    proxy.resetConnections();
    await waitFor(async () => rule.hits() === 1, { what: 'the fault', timeoutMs: 20_000 });
    await touch(name);
    await seen(name);
    rule.remove();

    expect(requestCount('list')).toBe(lists + 3);
  });

  test('reports what was deleted and recreated while it was blind, and keeps the new object', async () => {
    await touch('phoenix');
    await seen('phoenix');
    const old = reflector.store.get(namespace, 'phoenix')?.metadata.uid;
    const blind = proxy.inject({ match: { verb: 'watch', namespace }, fault: gone });
    const deaf = proxy.inject({ match: { verb: 'list', namespace }, fault: gone });
    proxy.resetConnections();
    await waitFor(async () => deaf.hits() > 0, { what: 'a failed list', timeoutMs: 20_000 });
    expect(reflector.store.size).toBeGreaterThanOrEqual(OBJECTS);
    changed.length = 0;
    await direct.client.delete(CONFIG_MAPS, namespace, 'phoenix');
    await touch('phoenix');
    blind.remove();
    deaf.remove();
    await waitFor(async () => reflector.store.get(namespace, 'phoenix')?.metadata.uid !== old, {
      what: 'the new object',
      timeoutMs: 20_000,
    });

    expect(changed).toEqual(['phoenix', 'phoenix']);
    expect(reflector.store.get(namespace, 'phoenix')).toBeDefined();
  });
});

test('a stopped reflector ends its watch at once and tells whoever still waits', async () => {
  const never = proxy.inject({ match: { verb: 'list', namespace: 'nowhere' }, fault: { kind: 'blackhole' } });
  const waiting = new Reflector({
    client,
    resource: CONFIG_MAPS,
    namespace: 'nowhere',
    clock: realClock,
    random: Math.random,
    log: new MemoryLog(),
    onChange: () => undefined,
  });
  waiting.start();
  const synced = expect(waiting.whenSynced()).rejects.toMatchObject({ code: 'Stopped' });
  await waitFor(async () => never.hits() === 1, { what: 'the list', timeoutMs: 10_000 });
  await waiting.stop();
  await synced;
  never.remove();

  expect(waiting.hasSynced()).toBe(false);
});
