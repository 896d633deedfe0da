import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { KubernetesProxy } from '../../faults/kubernetes-proxy.ts';
import type { KubernetesRequest } from '../../faults/kubernetes-requests.ts';
import { SqsProxy } from '../../faults/sqs-proxy.ts';
import { eventually, holdsFor } from '../../support/eventually.ts';
import { kubectl } from '../../support/kubectl.ts';
import type { OperatorProcess } from '../../support/operator-process.ts';
import { OperatorStage } from '../../support/operator-stage.ts';
import { QueueCase } from '../../support/queue-case.ts';

/** For what need not be tested with the real ones, which take ten seconds. */
const FAST = ['--lease-duration', '3s', '--renew-deadline', '2s', '--retry-period', '500ms'];
const FAST_LEASE_MS = 3_000;
/** So long that nobody can have waited for its end. How fast it goes is measured: `npm run bench -- failover`. */
const SLOW = ['--lease-duration', '120s'];
const SLOW_LEASE_MS = 120_000;
/** With the default timings; a loaded machine needs some of it for itself. */
const CRASH_MS = 30_000;
const EX_TEMPFAIL = 75;
const WRITES: ReadonlySet<string> = new Set(['create', 'patch', 'update', 'delete']);

let stage: OperatorStage;
const proxies: { stop(): Promise<void> }[] = [];
jest.setTimeout(240_000);

beforeAll(async () => {
  stage = await OperatorStage.set(['handover', 'crash', 'asleep', 'deleted', 'off', 'cut-off', 'outage']);
});

afterAll(async () => {
  await stage.clear();
  await Promise.all(proxies.map((proxy) => proxy.stop()));
});

async function apiProxy(): Promise<KubernetesProxy> {
  const proxy = await KubernetesProxy.start(stage.operatorKubeconfigPath());
  proxies.push(proxy);
  return proxy;
}

async function whenLeading(operator: OperatorProcess, timeoutMs = 20_000): Promise<void> {
  await eventually(
    () => operator.isLeading(),
    (leading) => leading,
    { what: 'the operator to lead', timeoutMs },
  );
}

/** A leader and a standby of one case; the leader may have ways of its own to the API server and to SQS. */
async function twoOperators(
  caseName: string,
  flags: readonly string[] = [],
  first: { through?: KubernetesProxy; sqs?: SqsProxy } = {},
): Promise<{ leader: OperatorProcess; standby: OperatorProcess }> {
  const election = await stage.prepareElection(caseName, flags);
  const leader = await stage.startOperator({ cases: [caseName], election, ...first });
  await whenLeading(leader);
  const standby = await stage.startOperator({ cases: [caseName], election });
  return { leader, standby };
}

function isEffect({ verb, resource }: KubernetesRequest): boolean {
  return WRITES.has(verb) && resource !== 'leases';
}

/** Milliseconds until the operator has made the Job of a message that came after `sinceMs`. */
async function firstJobAfter(operator: OperatorProcess, sinceMs: number): Promise<number> {
  const atMs = await eventually(
    () => operator.saidAt('job created'),
    (at) => at !== undefined,
    { what: 'a Job by the new leader', timeoutMs: 60_000 },
  );
  return (atMs ?? Number.NaN) - sinceMs;
}

test.concurrent('on SIGTERM the other one acts without waiting for the end of a Lease, and the polls of the first still become Jobs', async () => {
  const { leader, standby } = await twoOperators('handover', SLOW);
  expect(await standby.health('/readyz')).toBe(200);
  expect(await standby.isLeading()).toBe(false);
  const queue = await QueueCase.ready(stage, 'handover', { spec: { maxConcurrentJobs: 200 } });
  const earlier = await queue.jobOf(await queue.send('before'));
  expect(standby.output()).not.toContain('job created');
  await eventually(
    () => stage.sqs.open({ queue: queue.queueName }).length,
    (open) => open > 0,
    { what: 'an open poll' },
  );

  const termMs = Date.now();
  leader.terminate();
  const ids: string[] = [];
  while (standby.saidAt('job created') === undefined && Date.now() < termMs + SLOW_LEASE_MS) {
    ids.push(await queue.send(`number ${ids.length}`));
    await delay(50);
  }

  expect(await firstJobAfter(standby, termMs)).toBeLessThan(SLOW_LEASE_MS);
  for (const id of ids) await queue.jobOf(id);
  await queue.succeed(earlier);
  await queue.whenSettled(earlier.metadata.name);
  expect(await leader.exitCode()).toBe(0);
  expect(leader.output()).toContain('leader lease released');
  expect(await queue.jobs()).toHaveLength(ids.length + 1);
});

test.concurrent('after kill -9 the other one acts when the Lease has not changed for its duration', async () => {
  const { leader, standby } = await twoOperators('crash');
  const queue = await QueueCase.ready(stage, 'crash');
  const job = await queue.jobOf(await queue.send('before'));

  const killMs = Date.now();
  await leader.kill();
  // As at SQS, a poll whose caller is gone may swallow one: it comes again when its timeout ends.
  for (const body of ['after', 'after that', 'after all']) await queue.send(body);

  expect(await firstJobAfter(standby, killMs)).toBeLessThan(CRASH_MS);
  await queue.succeed(job);
  await queue.whenSettled(job.metadata.name);
});

test.concurrent('a leader that slept past its Lease sends nothing when it wakes, and ends', async () => {
  const through = await apiProxy();
  const sqs = await SqsProxy.start(stage.emulator.endpoint);
  proxies.push(sqs);
  const { leader, standby } = await twoOperators('asleep', FAST, { through, sqs });
  const queue = await QueueCase.ready(stage, 'asleep');
  const ended = await queue.jobOf(await queue.send('ends meanwhile'));
  await eventually(
    () => sqs.open({ operation: 'ReceiveMessage' }).length,
    (open) => open > 0,
    { what: 'an open poll of the leader' },
  );

  leader.suspend();
  // Its open poll takes this message; it will find it when it wakes.
  const id = await queue.send('received by the sleeper');
  await eventually(
    () => sqs.open({ operation: 'ReceiveMessage' }).length,
    (open) => open === 0,
    { what: 'the poll to be answered' },
  );
  await queue.succeed(ended);
  await whenLeading(standby);
  await queue.whenSettled(ended.metadata.name);
  const before = { kubernetes: through.requests().length, sqs: sqs.requests().length };
  leader.resume();

  expect(await leader.exitCode()).toBe(EX_TEMPFAIL);
  expect(through.requests().slice(before.kubernetes).filter(isEffect)).toEqual([]);
  const sent = sqs.requests().slice(before.sqs);
  expect(sent.filter(({ operation }) => /Receive|Delete|Send/.test(operation))).toEqual([]);
  // Renewals alone: a release asks for a second at most.
  expect(JSON.stringify(sent)).not.toMatch(/"VisibilityTimeout":[01]\b/);
  expect(leader.output()).toContain('lost the leader lease');
  // The message comes again when its timeout ends; the emulator may only notice with the next poll.
  await eventually(
    () => queue.jobs(),
    (jobs) => jobs.some(({ metadata }) => metadata.labels?.['batchqueue.io/message-id'] === id),
    { what: 'the Job of the message', timeoutMs: 60_000 },
  );
  expect(await queue.jobs()).toHaveLength(2);
});

test.concurrent('a Lease deleted by hand is made again by its holder, and nobody else takes it', async () => {
  const { leader, standby } = await twoOperators('deleted', FAST);
  const namespace = stage.namespace('deleted');
  const lease = async (path: string) =>
    await kubectl('get', 'lease', 'batchqueue-operator', '-n', namespace, '-o', `jsonpath={${path}}`);
  const [uid, holder] = [await lease('.metadata.uid'), await lease('.spec.holderIdentity')];

  await kubectl('delete', 'lease', 'batchqueue-operator', '-n', namespace);

  const again = await eventually(
    () => lease('.metadata.uid'),
    (seen) => seen !== '' && seen !== uid,
    { what: 'another Lease' },
  );
  expect(await lease('.spec.holderIdentity')).toBe(holder);
  await holdsFor(
    2 * FAST_LEASE_MS,
    async () => [await leader.isLeading(), await standby.isLeading(), await lease('.metadata.uid')],
    ([first, second, seen]) => first === true && !second && seen === again,
  );
});

test.concurrent('with the election off it acts at once and knows of no Lease', async () => {
  const through = await apiProxy();
  const operator = await stage.startOperator({ cases: ['off'], through });
  const queue = await QueueCase.ready(stage, 'off');
  await queue.runOne('alone');
  expect(through.requests({ resource: 'leases' })).toEqual([]);
  expect(await operator.isLeading()).toBe(true);
});

test.concurrent('a leader that is cut off from the API server stops before the other one starts', async () => {
  const through = await apiProxy();
  const { leader, standby } = await twoOperators('cut-off', FAST, { through });
  const cut = through.inject({ match: {}, fault: { kind: 'blackhole' } });
  through.resetConnections();
  const seen: string[] = [];
  await eventually(
    async () => {
      const both = await Promise.all([leader.isLeading(), standby.isLeading()]);
      seen.push(both.map(Number).join(''));
      return both;
    },
    ([, isSecondLeading]) => isSecondLeading,
    { what: 'the standby to lead' },
  );
  expect(new Set(seen)).toEqual(new Set(['10', '00', '01']));

  cut.remove();
  through.resetConnections();
  expect(await leader.exitCode()).toBe(EX_TEMPFAIL);
});

test.concurrent('an outage for longer than the Lease costs no lease of a message, and the leader goes on after it', async () => {
  const through = await apiProxy();
  const election = await stage.prepareElection('outage', FAST);
  const leader = await stage.startOperator({ cases: ['outage'], election, through });
  const queue = await QueueCase.ready(stage, 'outage');
  const job = await queue.jobOf(await queue.send('runs through an outage'));
  const outage = through.inject({ match: {}, fault: { kind: 'blackhole' } });
  through.resetConnections();
  await eventually(
    () => leader.isLeading(),
    (leading) => !leading,
    { what: 'the fence' },
  );
  await queue.succeed(job);
  // Longer than the visibility timeout.
  await holdsFor(
    12_000,
    () => queue.counts(),
    ({ visible, inFlight }) => visible === 0 && inFlight === 1,
  );

  outage.remove();
  through.resetConnections();
  await whenLeading(leader);
  await queue.whenSettled(job.metadata.name);
  await queue.runOne('after the outage');
});
