import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { type Fault, throttled } from '../../faults/kubernetes-faults.ts';
import { KubernetesProxy } from '../../faults/kubernetes-proxy.ts';
import { eventually, holdsFor } from '../../support/eventually.ts';
import { OperatorStage } from '../../support/operator-stage.ts';
import { ledgerOf, QueueCase } from '../../support/queue-case.ts';

/** Longer than two visibility timeouts of ten seconds. */
const OUTAGE_MS = 22_000;

let stage: OperatorStage;
const proxies: KubernetesProxy[] = [];
jest.setTimeout(90_000);

beforeAll(async () => {
  stage = await OperatorStage.set(['outage', 'dropped', 'failed', 'throttled']);
});

afterAll(async () => {
  await stage.clear();
  await Promise.all(proxies.map((proxy) => proxy.stop()));
});

/** An operator of its own for one case, behind a proxy of its own. */
async function behindProxy(caseName: string): Promise<KubernetesProxy> {
  const proxy = await KubernetesProxy.start(stage.operatorKubeconfigPath());
  proxies.push(proxy);
  await stage.startOperator({ cases: [caseName], through: proxy });
  return proxy;
}

test.concurrent('an outage of the API server costs no lease, and is made up for afterwards', async () => {
  const proxy = await behindProxy('outage');
  const queue = await QueueCase.ready(stage, 'outage', { spec: { maxConcurrentJobs: 1 } });
  const job = await queue.jobOf(await queue.send('runs through an outage'));
  const outage = proxy.inject({ match: {}, fault: { kind: 'blackhole' } });
  proxy.resetConnections();

  await queue.succeed(job);
  await holdsFor(
    OUTAGE_MS,
    async () => await stage.emulator.receive(queue.url()),
    (received) => received.length === 0,
  );
  expect(outage.hits()).toBeGreaterThan(0);
  expect(await queue.counts()).toEqual({ visible: 0, inFlight: 1 });

  outage.remove();
  proxy.resetConnections();
  const settled = await eventually(
    () => queue.getJob(job.metadata.name),
    (found) => found?.metadata.finalizers === undefined,
    { what: 'settlement after the outage', timeoutMs: 60_000 },
  );
  expect(settled && ledgerOf(settled).messages).toMatchObject([{ receiveCount: 1 }]);
  expect(await queue.counts()).toEqual({ visible: 0, inFlight: 0 });
});

describe('a create of a Job that is carried out, but not answered', () => {
  const faults: readonly [string, Fault][] = [
    ['dropped', { kind: 'drop-after-commit' }],
    ['failed', { kind: 'error500-after-commit' }],
  ];

  test.concurrent.each(faults)(
    'because the answer is %s, is resolved by reading: one Job',
    async (caseName, fault) => {
      const proxy = await behindProxy(caseName);
      const queue = await QueueCase.ready(stage, caseName);
      // The first create was the dry run of the template.
      const rule = proxy.inject({ match: { verb: 'create', resource: 'jobs' }, nth: 1, fault });

      const job = await queue.jobOf(await queue.send('created without an answer'));
      await queue.succeed(job);
      await queue.whenSettled(job.metadata.name);
      await queue.whenQueueIsEmpty();

      expect(rule.hits()).toBe(1);
      expect(await queue.jobs()).toHaveLength(1);
    },
  );
});

test.concurrent('a create that the API server puts off is made when it said, under the same lease', async () => {
  const proxy = await behindProxy('throttled');
  const queue = await QueueCase.ready(stage, 'throttled');
  const rule = proxy.inject({ match: { verb: 'create', resource: 'jobs' }, nth: 1, fault: throttled(3) });

  const job = await queue.jobOf(await queue.send('put off'));
  expect(rule.hits()).toBe(1);
  expect(ledgerOf(job).messages).toMatchObject([{ receiveCount: 1 }]);
  await queue.succeed(job);
  await queue.whenQueueIsEmpty();
});
