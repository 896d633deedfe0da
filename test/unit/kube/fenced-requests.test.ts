import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { KubeConfig } from '@kubernetes/client-node';
import { RestClient } from '../../../operator/kube/rest-client.ts';
import { createTransport, type Transport } from '../../../operator/kube/transport.ts';
import type { KubeObject, Resource } from '../../../operator/ports.ts';
import { ClosableFence } from '../../support/closable-fence.ts';
import { eventually } from '../../support/eventually.ts';

const resource = (plural: string): Resource => ({ group: 'batch', version: 'v1', plural });
const object = (name: string): KubeObject => ({ metadata: { name } });

let server: Server;
let transport: Transport;
let fence: ClosableFence;
let client: RestClient;
let received: string[];
/** Answers that wait to be given. */
let held: ServerResponse[];
let isHolding: boolean;

function answer(response: ServerResponse): void {
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify({ ...object('a'), items: [] }));
}

beforeEach(async () => {
  received = [];
  held = [];
  isHolding = false;
  server = createServer((request, response) => {
    received.push(`${request.method} ${(request.url ?? '').replace(/\?.*/, '')}`);
    if (isHolding) held.push(response);
    else answer(response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : 0;
  const kubeConfig = new KubeConfig();
  kubeConfig.loadFromOptions({
    clusters: [{ name: 'c', server: `http://127.0.0.1:${port}`, skipTLSVerify: true }],
    users: [{ name: 'u' }],
    contexts: [{ name: 'x', cluster: 'c', user: 'u' }],
    currentContext: 'x',
  });
  transport = createTransport(kubeConfig, { connections: 1 });
  fence = new ClosableFence();
  client = new RestClient(transport, fence);
});

afterEach(async () => {
  await transport.close();
  server.closeAllConnections();
  server.close();
});

describe('a write behind the fence', () => {
  test.each([
    ['create', 'jobs', 'claim'],
    ['create', 'secrets', 'claim'],
    ['create', 'events', 'claim'],
    ['create', 'controllerrevisions', 'lead'],
    ['patch', 'secrets', 'claim'],
    ['patch', 'events', 'claim'],
    ['patch', 'jobs', 'lead'],
    ['patch', 'batchqueues', 'lead'],
    ['delete', 'jobs', 'lead'],
    ['delete', 'secrets', 'lead'],
    ['delete', 'pods', 'lead'],
  ] as const)('%s %s asks for the right to %s', async (verb, plural, right) => {
    const write = () => {
      if (verb === 'create') return client.create(resource(plural), 'n', object('a'));
      if (verb === 'patch') return client.patch(resource(plural), 'n', 'a', {}, { type: 'merge' });
      return client.delete(resource(plural), 'n', 'a');
    };
    await write();
    expect(fence.asked).toEqual([right]);
    expect(received).toHaveLength(1);
    fence.narrow();
    await expect(write()).rejects.toMatchObject({ code: 'NotLeader', outcomeUnknown: false });
    expect(received).toHaveLength(1);
  });

  test('that waits for a connection is judged when it gets one', async () => {
    isHolding = true;
    const first = client.create(resource('jobs'), 'n', object('first'));
    await eventually(
      () => held.length,
      (count) => count === 1,
    );
    const second = client.create(resource('jobs'), 'n', object('second'));
    const third = client.get(resource('jobs'), 'n', 'third');
    // Until both wait inside the connection pool.
    await delay(50);
    fence.narrow();
    isHolding = false;
    for (const response of held) answer(response);

    // The first was on its way already: whether it was permitted then is what counts.
    await expect(first).resolves.toBeDefined();
    await expect(second).rejects.toMatchObject({ code: 'NotLeader' });
    await expect(third).resolves.toBeDefined();
    expect(received).toEqual([
      'POST /apis/batch/v1/namespaces/n/jobs',
      'GET /apis/batch/v1/namespaces/n/jobs/third',
    ]);
  });

  test('that changes nothing needs no permission, nor does reading', async () => {
    fence.narrow();
    await client.create(resource('jobs'), 'n', object('a'), { dryRun: true });
    await client.get(resource('jobs'), 'n', 'a');
    expect(received).toHaveLength(2);
    expect(fence.asked).toEqual([]);
  });
});
