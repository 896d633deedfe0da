import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { EventRecorder } from '../../operator/kube/events.ts';
import { integrationCluster } from '../jest/clusters.ts';
import { kubectl } from '../support/kubectl.ts';
import { aConfigMap, CONFIG_MAPS, connect, createNamespace, NAMESPACES } from '../support/kubernetes.ts';
import { MemoryLog } from '../support/logs.ts';
import { realClock } from '../support/real-clock.ts';

// A loaded machine may need many times the fraction of a second that a test takes on an idle one.
jest.setTimeout(60_000);

let connection: ReturnType<typeof connect>;
let namespace: string;

beforeAll(async () => {
  connection = connect(integrationCluster().kubeconfigPath);
  namespace = await createNamespace(connection.client, 'events');
}, 60_000);

afterAll(async () => {
  await Promise.allSettled([connection.client.delete(NAMESPACES, undefined, namespace)]);
  await connection.transport.close();
});

const inNamespace = (...args: string[]) => kubectl('-n', namespace, ...args);

test('kubectl shows an event that was told five times as one event with its count', async () => {
  const object = await connection.client.create(CONFIG_MAPS, namespace, aConfigMap('subject'));
  const { uid = '', name } = object.metadata;
  const regarding = { apiVersion: 'v1', kind: 'ConfigMap', name, namespace, uid };
  const log = new MemoryLog();
  const recorder = new EventRecorder({
    client: connection.client,
    clock: realClock,
    log,
    instance: 'operator-0',
  });

  recorder.record({ regarding, type: 'Normal', reason: 'Created', note: 'created job subject-1' });
  await recorder.flush();
  for (let count = 0; count < 5; count += 1) {
    recorder.record({
      regarding,
      type: 'Warning',
      reason: 'Rejected',
      note: `no such row ${'ä'.repeat(1000)}`,
    });
    await recorder.flush();
  }

  const events: unknown = JSON.parse(await inNamespace('get', 'events.events.k8s.io', '-o', 'json'));
  expect(events).toMatchObject({
    items: expect.arrayContaining([expect.objectContaining({ reason: 'Rejected' })]),
  });
  expect(log.lines).toEqual([]);
  const lines = (await inNamespace('events', '--for', `configmap/${name}`, '--no-headers'))
    .trim()
    .split('\n');
  expect(lines).toHaveLength(2);
  expect(lines.find((line) => line.includes('Rejected'))).toMatch(
    /\(x5 over .*\).*Warning.*Rejected.*ConfigMap\/subject/,
  );
  expect(await inNamespace('describe', 'configmap', name)).toMatch(
    /Normal\s+Created\s+.*created job subject-1/,
  );
});

test('an event whose first telling was counted before it was written is created with its count', async () => {
  const object = await connection.client.create(CONFIG_MAPS, namespace, aConfigMap('counted'));
  const { uid = '', name } = object.metadata;
  const regarding = { apiVersion: 'v1', kind: 'ConfigMap', name, namespace, uid };
  const recorder = new EventRecorder({ client: connection.client, clock: realClock, log: new MemoryLog() });

  for (let count = 0; count < 3; count += 1)
    recorder.record({ regarding, type: 'Normal', reason: 'Seen', note: 'seen' });
  await recorder.flush();

  expect(await inNamespace('events', '--for', `configmap/${name}`, '--no-headers')).toMatch(
    /\(x3 over .*Seen/,
  );
});
