import { ChangeMessageVisibilityCommand } from '@aws-sdk/client-sqs';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { forbidden, throttled } from '../../faults/kubernetes-faults.ts';
import type { KubernetesProxy } from '../../faults/kubernetes-proxy.ts';
import { entriesOf } from '../../faults/sqs-requests.ts';
import { eventually, eventuallyEqual, holdsFor } from '../../support/eventually.ts';
import { type FaultCase, FaultStage, whenEachRanOnce } from '../../support/fault-stage.ts';
import { ledgerOf, type QueueCase } from '../../support/queue-case.ts';

let stage: FaultStage;
jest.setTimeout(300_000);

beforeAll(async () => {
  stage = await FaultStage.set();
}, 60_000);

afterAll(async () => {
  await stage.clear();
});

/** Sends messages and returns their ids. */
async function send(queue: QueueCase, count: number): Promise<readonly string[]> {
  return Promise.all(Array.from({ length: count }, (_, index) => queue.send(`message ${index}`)));
}

/** Waits for two renewals of the only lease there is; the second came before the first had run out. */
async function keepsItsLease({ queue, sqs }: Pick<FaultCase, 'queue' | 'sqs'>): Promise<void> {
  const renewals = await eventually(
    () => sqs.requests({ operation: 'ChangeMessageVisibilityBatch' }),
    ({ length }) => length >= 2,
    { what: 'two renewals', timeoutMs: 60_000 },
  );
  const [first, second] = renewals.slice(-2);
  const askedSeconds = entriesOf(first ?? { body: {} })[0]?.VisibilityTimeout ?? 0;
  expect((second?.atMs ?? 0) - (first?.atMs ?? 0)).toBeLessThan(askedSeconds * 1_000);
  expect(await queue.counts()).toEqual({ visible: 0, inFlight: 1 });
}

/** Lets every Job of these messages succeed as soon as it is there. */
async function succeedAll(queue: QueueCase, ids: readonly string[]): Promise<void> {
  await Promise.all(ids.map(async (id) => queue.succeed(await queue.jobOf(id))));
}

test.concurrent('connections that are reset again and again cost no message, and no second run', async () => {
  const { queue, kubernetes, past } = await stage.begin('resets', {
    spec: { successfulJobsHistoryLimit: 100 },
  });
  const resets = setInterval(() => kubernetes.resetConnections(), 700);
  try {
    const ids = await send(queue, 8);
    await succeedAll(queue, ids);
    await whenEachRanOnce({ queue, past }, ids);
  } finally {
    clearInterval(resets);
  }
  expect(kubernetes.connections()).toBeGreaterThan(8);
});

test.concurrent('while every watch ends with 410 Gone, lists do its work, and not in a hurry', async () => {
  const { queue, kubernetes, past } = await stage.begin('gone');
  const rule = kubernetes.inject({ match: { verb: 'watch' }, fault: { kind: 'gone-in-stream' } });
  kubernetes.resetConnections();
  await eventually(rule.hits, (hits) => hits > 2, { what: 'three watches that are gone' });
  const startedAtMs = performance.now();

  const ids = await send(queue, 2);
  await succeedAll(queue, ids);
  await whenEachRanOnce({ queue, past }, ids);

  const seconds = (performance.now() - startedAtMs) / 1000;
  const lists = kubernetes.requests({ verb: 'list', resource: 'jobs' });
  // One list per ended watch, whose pauses grow from 0.8 s.
  expect(lists.filter(({ atMs }) => atMs > startedAtMs).length).toBeLessThan(3 + 2 * seconds);
  rule.remove();
});

test.concurrent('a write that conflicts is decided anew', async () => {
  const { queue, kubernetes, past } = await stage.begin('conflict');
  const conflict = { kind: 'refuse', status: 409, reason: 'Conflict' } as const;
  const rules = ['jobs', 'batchqueues/status'].map((resource) =>
    kubernetes.inject({ match: { verb: 'patch', resource }, nth: 1, fault: conflict }),
  );

  const ids = await send(queue, 1);
  await succeedAll(queue, ids);
  await whenEachRanOnce({ queue, past }, ids);

  expect(rules.map((rule) => rule.hits())).toEqual([1, 1]);
  await queue.whenStatus('the success', ({ lastSuccessTime }) => lastSuccessTime !== undefined);
});

test.concurrent('writes that are carried out, but answered with 500, are not done twice', async () => {
  const failed = { kind: 'error500-after-commit' } as const;
  const writes = [
    { verb: 'create', resource: 'controllerrevisions' },
    { verb: 'patch', resource: 'batchqueues/status' },
    { verb: 'patch', resource: 'jobs' },
    { verb: 'delete', resource: 'jobs' },
  ];
  const hits: (() => number)[] = [];
  const limits = { successfulJobsHistoryLimit: 0 };
  const { queue, past } = await stage.begin('committed', { spec: limits }, ({ kubernetes }) => {
    for (const match of writes) hits.push(kubernetes.inject({ match, nth: 1, fault: failed }).hits);
  });

  const ids = await send(queue, 1);
  await succeedAll(queue, ids);
  await whenEachRanOnce({ queue, past }, ids);

  await eventuallyEqual(async () => (await queue.jobs()).length, 0, { what: 'no Job to be kept' });
  expect(hits.map((count) => count())).toEqual([1, 1, 1, 1]);
  expect(await queue.revisions()).toHaveLength(1);
});

test.concurrent('a server that asks for patience is not asked again before, whatever else happens', async () => {
  const { queue, kubernetes, past } = await stage.begin('patience');
  const rule = kubernetes.inject({
    match: { verb: 'create', resource: 'jobs' },
    nth: 1,
    fault: throttled(4),
  });
  const [first = ''] = await send(queue, 1);
  await eventually(rule.hits, (hits) => hits === 1, { what: 'the create to be put off' });
  const [putOff] = kubernetes.requests({ verb: 'create', resource: 'jobs' }).slice(-1);

  const second = await queue.send('comes meanwhile');
  await succeedAll(queue, [first, second]);
  await whenEachRanOnce({ queue, past }, [first, second]);

  const asked = kubernetes.requests({ verb: 'create', resource: 'jobs' }).map(({ atMs }) => atMs);
  const next = asked.find((atMs) => atMs > (putOff?.atMs ?? 0)) ?? 0;
  expect(next - (putOff?.atMs ?? 0)).toBeGreaterThanOrEqual(4_000);
  expect(ledgerOf(await queue.jobOf(first)).messages).toMatchObject([{ receiveCount: 1 }]);
});

test.concurrent('a right that is withdrawn is told, the lease is kept meanwhile, and its return is noticed', async () => {
  const { queue, kubernetes, sqs, past } = await stage.begin('forbidden');
  const rule = kubernetes.inject({ match: { verb: 'create', resource: 'jobs' }, fault: forbidden });
  const [id = ''] = await send(queue, 1);

  const condition = await queue.whenCondition('Ready', { status: 'False', reason: 'AdmissionDenied' });
  expect(condition.message).toContain('fault proxy');
  await keepsItsLease({ queue, sqs });
  rule.remove();

  const job = await eventually(
    () => queue.jobOf(id),
    () => true,
    { timeoutMs: 70_000 },
  );
  expect(ledgerOf(job).messages).toMatchObject([{ receiveCount: 1 }]);
  await queue.succeed(job);
  await whenEachRanOnce({ queue, past }, [id]);
  await queue.whenCondition('Ready', { status: 'True' });
});

test.concurrent('withdrawn from everything, the operator keeps its leases and goes on when it may', async () => {
  const { queue, kubernetes, sqs, operator, past } = await stage.begin('barred');
  const [id = ''] = await send(queue, 1);
  const job = await queue.jobOf(id);
  const rule = kubernetes.inject({ match: {}, fault: forbidden });
  kubernetes.resetConnections();
  await queue.succeed(job);

  await keepsItsLease({ queue, sqs });
  expect(rule.hits()).toBeGreaterThan(0);
  expect(await operator.health('/healthz')).toBe(200);
  rule.remove();

  await whenEachRanOnce({ queue, past }, [id], 90_000);
});

/** Ends the leases that this operator had, as SQS does while no operator is there. */
async function lapse({ queue, sqs }: FaultCase): Promise<void> {
  const { client } = queue.stage.emulator;
  const target = { QueueUrl: queue.url(), VisibilityTimeout: 0 };
  for (const ReceiptHandle of sqs.receiptHandles().keys())
    await client.send(new ChangeMessageVisibilityCommand({ ...target, ReceiptHandle }));
}

/** The state of the cluster now, as lists name it. */
async function now({ stage: { client }, namespace }: QueueCase): Promise<string> {
  return (await client.list({ group: 'batch', version: 'v1', plural: 'jobs' }, { namespace }))
    .resourceVersion;
}

/** The first list of Jobs is an old one, and for some time no watch tells of what has happened since. */
function staleJobs(kubernetes: KubernetesProxy, resourceVersion: string): () => void {
  const fault = { kind: 'stale-list', resourceVersion } as const;
  kubernetes.inject({ match: { verb: 'list', resource: 'jobs' }, nth: 1, fault });
  const silence = kubernetes.inject({
    match: { verb: 'watch', resource: 'jobs' },
    fault: { kind: 'silence-watch' },
  });
  return () => {
    silence.remove();
    kubernetes.resetConnections();
  };
}

async function restart(
  name: string,
  before: FaultCase,
  beforehand: (kubernetes: KubernetesProxy) => void,
): Promise<FaultCase> {
  const started = await stage.startOperator(name, ({ kubernetes }) => beforehand(kubernetes));
  return { ...before, ...started };
}

test.concurrent('a list from before a Job was created does not make a second one', async () => {
  const begun = await stage.begin('stale-active');
  const { queue, past } = begun;
  const old = await now(queue);
  const [id = ''] = await send(queue, 1);
  const job = await queue.jobOf(id);
  await begun.operator.kill();
  await lapse(begun);

  let freshen = (): void => undefined;
  const { sqs } = await restart('stale-active', begun, (kubernetes) => {
    freshen = staleJobs(kubernetes, old);
  });
  await eventually(
    () => sqs.receiptHandles().size,
    (count) => count > 0,
    { what: 'the message to be received again' },
  );
  await holdsFor(
    4_000,
    () => past.violations(),
    (violations) => violations.length === 0,
  );
  freshen();

  await queue.succeed(job);
  await whenEachRanOnce({ queue, past }, [id]);
});

test.concurrent('a list from before a settlement does not undo it', async () => {
  const begun = await stage.begin('stale-settled', {
    spec: { retry: { minBackoffSeconds: 1, maxBackoffSeconds: 1 } },
  });
  const { queue, past } = begun;
  const [id = ''] = await send(queue, 1);
  const job = await queue.jobOf(id);
  const old = await now(queue);
  await queue.succeed(job);
  await queue.whenSettled(job.metadata.name);
  await begun.operator.kill();

  let freshen = (): void => undefined;
  await restart('stale-settled', begun, (kubernetes) => {
    freshen = staleJobs(kubernetes, old);
  });
  await queue.whenCondition('Ready', { status: 'True' });
  await holdsFor(
    3_000,
    () => past.jobs().length,
    (count) => count === 1,
  );
  freshen();

  await whenEachRanOnce({ queue, past }, [id]);
  await queue.whenStatus('no active Job', ({ jobs }) => jobs?.active === 0);
});
