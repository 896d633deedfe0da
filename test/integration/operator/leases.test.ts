import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { z } from 'zod';
import { KubernetesProxy } from '../../faults/kubernetes-proxy.ts';
import type { SqsRequest } from '../../faults/sqs-requests.ts';
import { eventually, holdsFor } from '../../support/eventually.ts';
import { OperatorStage } from '../../support/operator-stage.ts';
import { ledgerOf, QueueCase } from '../../support/queue-case.ts';

/** Three requests' worth of leases. */
const MESSAGES = 25;
/** Two visibility timeouts. */
const OUTAGE_MS = 20_000;

let stage: OperatorStage;
const proxies: KubernetesProxy[] = [];
jest.setTimeout(120_000);

beforeAll(async () => {
  stage = await OperatorStage.set(['many']);
});

afterAll(async () => {
  await stage.clear();
  await Promise.all(proxies.map((proxy) => proxy.stop()));
});

const renewalSchema = z.object({ Entries: z.array(z.object({ ReceiptHandle: z.string() })) });

function handlesOf({ body }: SqsRequest): readonly string[] {
  return renewalSchema.parse(body).Entries.map(({ ReceiptHandle }) => ReceiptHandle);
}

test('the leases of a large batch outlive an API server that is gone and an operator that is killed', async () => {
  const proxy = await KubernetesProxy.start(stage.operatorKubeconfigPath());
  proxies.push(proxy);
  const operator = await stage.startOperator({ cases: ['many'], through: proxy });
  const queue = new QueueCase(stage, 'many');
  await queue.createQueue();
  const url = queue.url();
  await queue.apply({
    queue: { url, visibilityTimeoutSeconds: 10, batchSize: MESSAGES, batchWindowSeconds: 30 },
    maxConcurrentJobs: 1,
  });
  await queue.whenCondition('Ready', { status: 'True' });
  await Promise.all(Array.from({ length: MESSAGES }, (_, number) => queue.send(`message ${number}`)));
  const job = await queue.jobThat('holds them all', (each) => ledgerOf(each).messages.length === MESSAGES);
  const handles = new Set(ledgerOf(job).messages.map(({ receiptHandle }) => receiptHandle));
  const renewals = () =>
    stage.sqs.requests({ operation: 'ChangeMessageVisibilityBatch', queue: queue.queueName });
  const renewedSince = (count: number) => new Set(renewals().slice(count).flatMap(handlesOf));

  // Nothing of the operator but the heartbeat can go on now: every turn waits for the API server.
  const outage = proxy.inject({ match: {}, fault: { kind: 'blackhole' } });
  proxy.resetConnections();
  const beforeOutage = renewals().length;
  await holdsFor(
    OUTAGE_MS,
    async () => await stage.emulator.receive(url),
    (received) => received.length === 0,
  );
  expect(outage.hits()).toBeGreaterThan(0);
  const during = renewals().slice(beforeOutage);
  expect(during.length).toBeGreaterThanOrEqual(9);
  expect(Math.max(...during.map((request) => handlesOf(request).length))).toBeLessThanOrEqual(10);

  await operator.kill();
  const beforeRestart = renewals().length;
  await stage.startOperator({ cases: ['many'] });
  await eventually(
    () => [...renewedSince(beforeRestart)].filter((handle) => handles.has(handle)).length,
    (renewed) => renewed === MESSAGES,
    { what: 'all leases to be renewed by the next operator', timeoutMs: 10_000 },
  );

  await queue.succeed(job);
  await queue.whenQueueIsEmpty();
  const settled = await queue.whenSettled(job.metadata.name);
  expect(new Set(ledgerOf(settled).messages.map(({ receiveCount }) => receiveCount))).toEqual(new Set([1]));
  expect(await queue.jobs()).toHaveLength(1);
});
