import { describe, expect, test } from '@jest/globals';
import { ANNOTATION_LEDGER } from '../../operator/api/names.ts';
import type { KubeObject } from '../../operator/ports.ts';
import { JOBS, PODS } from '../../operator/world.ts';
import { kubeFailure } from './kubernetes/failures.ts';
import { jobOf } from './kubernetes/job-controller.ts';
import { phaseOf } from './kubernetes/kubelet.ts';
import { SmallWorld } from './small-world.ts';

/** What seeds have found, each as a story of its own; docs/reliability.md tells what it was. */

const MINUTE_MS = 60_000;
const SPEC = { maxConcurrentJobs: 3, retry: { minBackoffSeconds: 1, maxBackoffSeconds: 20 } };

async function aWorld(spec: object = SPEC, options: { fifo?: boolean } = {}): Promise<SmallWorld> {
  const world = new SmallWorld(1, options);
  world.applySpec(spec);
  world.start();
  await world.clock.advance(5_000);
  return world;
}

/** Jobs that owe a settlement. */
function owing(world: SmallWorld): readonly KubeObject[] {
  return world.jobs().filter(({ metadata }) => metadata.finalizers?.length);
}

function withTimeout(visibilityTimeoutSeconds: number): object {
  return { ...SPEC, queue: { visibilityTimeoutSeconds } };
}

describe('leases', () => {
  test('a renewal that comes after the timeout does not make a Job of a message that others may have', async () => {
    const world = await aWorld(withTimeout(10));
    world.api.admission = (_, plural) =>
      plural === JOBS.plural ? kubeFailure('Forbidden', 'terminal') : undefined;
    world.send(world.tenant, '{}');
    await world.clock.advance(60_000);
    world.operators.get('alpha')?.pause(30_000);
    await world.clock.advance(31_000);
    world.api.admission = () => undefined;
    await world.clock.advance(2 * MINUTE_MS);
    expect(world.violations).toEqual([]);
  });
});

describe('a message that SQS delivers to two operators', () => {
  test('gets one Job, although each of them counts another attempt', async () => {
    const world = await aWorld();
    world.workersRun(MINUTE_MS, 0);
    world.operators.get('alpha')?.pause(20_000);
    const id = world.send(world.tenant, '{}');
    await world.clock.advance(1_000);
    expect(world.sqs.receiveCountOf(id)).toBe(1);
    world.start('beta');
    await world.clock.advance(3_000);
    world.sqs.duplicate(id);
    await world.until('the other one makes its Job', () => world.jobs().length === 1, 10_000);
    await world.clock.advance(2 * MINUTE_MS);
    expect(world.book.runsOf(id)).toHaveLength(1);
    expect(world.violations).toEqual([]);
  });
});

test('a message that another operator has given back is not run on the strength of an old receive', async () => {
  // One slot: while it holds the message it receives no other.
  const world = await aWorld({ ...SPEC, maxConcurrentJobs: 1 });
  world.workersRun(1_000, 1);
  const weather = world.weatherOf('alpha');
  const watchSilentUntilMs = world.clock.now() + 10 * MINUTE_MS;
  Object.assign(weather, { kubeChance: 1, kubeFaults: ['lost'], watchSilentUntilMs });
  const id = world.send(world.tenant, '{}');
  await world.until('its Job is made', () => world.jobs().length === 1, 30_000);
  const sleeper = world.operators.get('alpha');
  sleeper?.pause(MINUTE_MS);
  weather.kubeChance = 0;
  world.start('beta');
  await world.until('the other one settles it', () => owing(world).length === 0, 15_000);
  world.kill('beta');
  await world.clock.advance(2_000);
  world.workersRun(MINUTE_MS, 0);
  sleeper?.calm();
  // Once the lease of the other one's second receive has run out.
  await world.until('it is done', () => world.isDone(id), 8 * MINUTE_MS);
  expect(world.violations).toEqual([]);
});

test('a create that nobody answers is not sent again once another operator has taken its Job further', async () => {
  const world = await aWorld({ ...SPEC, failedJobsHistoryLimit: 0 });
  world.refusalChance = 1;
  world.workersRun(2 * MINUTE_MS, 0);
  const watchSilentUntilMs = world.clock.now() + 10 * MINUTE_MS;
  Object.assign(world.weatherOf('alpha'), { kubeChance: 1, kubeFaults: ['lost'], watchSilentUntilMs });
  const id = world.send(world.tenant, '{}');
  await world.until('its Job is made', () => world.jobs().length === 1, 30_000);
  const first = world.jobs()[0]?.metadata.name;
  const others = () => world.jobs().filter(({ metadata }) => metadata.name !== first);
  world.start('beta');
  await world.until(
    'the next run stands alone',
    () => world.jobs().length === 1 && others().length === 1,
    MINUTE_MS,
  );
  world.refusalChance = 0;
  await world.until('it is done', () => world.isDone(id), 10 * MINUTE_MS);
  expect(world.violations).toEqual([]);
});

describe('requests', () => {
  test('a status that cannot be written is tried ever more seldom', async () => {
    const world = await aWorld();
    world.weatherOf('alpha').kubeChance = 1;
    world.send(world.tenant, '{}');
    await world.clock.advance(5 * MINUTE_MS);
    const nowMs = world.clock.now();
    await world.clock.advance(MINUTE_MS);
    expect(world.countSince(nowMs, /^patch batchqueues/)).toBeLessThanOrEqual(6);
  });

  test('a message that waits while payload Secrets are due to be swept starves nothing', async () => {
    const world = await aWorld();
    world.api.admission = (_, plural) =>
      plural === JOBS.plural ? kubeFailure('Forbidden', 'terminal') : undefined;
    world.send(world.tenant, '{}');
    await world.clock.advance(12 * MINUTE_MS);
    expect(world.violations).toEqual([]);
  });

  test('a BatchQueue that goes during its first turn is asked about no more', async () => {
    for (let startMs = 30; startMs <= 80; startMs += 5) {
      const world = new SmallWorld(startMs);
      world.applySpec(SPEC);
      const operator = world.start();
      await world.clock.advance(startMs);
      operator.pause(10_000);
      world.deleteBatchQueue();
      await world.clock.advance(MINUTE_MS);
      const nowMs = world.clock.now();
      await world.clock.advance(5 * MINUTE_MS);
      expect(world.countSince(nowMs, /^(describe|receive)/)).toBe(0);
    }
  });
});

describe('settlement', () => {
  test('exit code 0 with a result that says otherwise deletes nothing, however late its pod is seen', async () => {
    const world = await aWorld();
    world.workersRun(2_000, 0, JSON.stringify({ rejectedIndexes: '0' }));
    world.weatherOf('alpha').watchLagMs = 3_000;
    const id = world.send(world.tenant, '{}');
    await world.clock.advance(MINUTE_MS);
    expect(world.sqs.places().get(id)).not.toBe('deleted');
    expect(world.violations).toEqual([]);
  });

  test.each([
    ['an Indexed Job', { completionMode: 'Indexed' }],
    ['any other Job', {}],
  ])('what %s has done is not done again when somebody deletes it at that moment', async (_, spec) => {
    const world = await aWorld({ ...SPEC, maxConcurrentJobs: 8, jobTemplate: { spec } });
    world.workersRun(5_000, 0);
    world.api.watch(({ plural, object }) => {
      if (plural !== PODS.plural || phaseOf(object) !== 'Succeeded') return;
      const { namespace = '', name } = jobOf(object).metadata;
      if (world.api.get(JOBS, namespace, name)) world.api.delete(JOBS, namespace, name);
    });
    // Of about every second one the Job controller says nothing more.
    const ids = Array.from({ length: 8 }, () => world.send(world.tenant, '{}'));
    await world.clock.advance(2 * MINUTE_MS);
    expect(ids.map((id) => world.sqs.places().get(id))).toEqual(ids.map(() => 'deleted'));
    expect(ids.map((id) => world.book.runsOf(id).length)).toEqual(ids.map(() => 1));
    expect(world.violations).toEqual([]);
  });

  test('an index whose pods are refused by their nodes costs no attempt, although others are done', async () => {
    const queue = { batchSize: 2, batchWindowSeconds: 5 };
    const oneByOne = { completionMode: 'Indexed', parallelism: 1 };
    const world = await aWorld({ ...SPEC, queue, jobTemplate: { spec: oneByOne } });
    world.workersRun(2_000, 0);
    const ids = ['1', '2'].map((body) => world.send(world.tenant, body));
    await world.until('the first one runs', () => ids.some((id) => world.book.runsOf(id)[0]?.hasRun), 30_000);
    world.refusalChance = 1;
    await world.until('one is done', () => ids.some((id) => world.isDone(id)), MINUTE_MS);
    await world.clock.advance(MINUTE_MS);
    world.refusalChance = 0;
    await world.until('both are done', () => ids.every((id) => world.isDone(id)), 10 * MINUTE_MS);
    expect(world.jobs()).toHaveLength(1);
    expect(world.violations).toEqual([]);
  });

  test('a delete that a FIFO queue refused is not owed for ever once nobody reads the queue', async () => {
    const world = await aWorld(withTimeout(10), { fifo: true });
    world.workersRun(30_000, 0);
    world.send(world.tenant, '{}', undefined, 'group');
    await world.until('its Job is made', () => world.jobs().length === 1, 30_000);
    world.weatherOf('alpha').sqsChance = 1;
    await world.clock.advance(MINUTE_MS);
    world.deleteBatchQueue('Orphan');
    await world.clock.advance(2_000);
    world.weatherOf('alpha').sqsChance = 0;
    await world.clock.advance(5 * MINUTE_MS);
    expect(owing(world)).toEqual([]);
    expect(world.violations).toEqual([]);
  });

  /** One that has left the queue unseen: by a receive whose answer nobody got, and which was its last. */
  async function aWorldThatOwesADelete(): Promise<SmallWorld> {
    const world = await aWorld(withTimeout(10), { fifo: true });
    world.workersRun(30_000, 0);
    const id = world.send(world.tenant, '{}', undefined, 'group');
    await world.until('its Job is made', () => world.jobs().length === 1, 30_000);
    world.api.watch(({ object }) => {
      if (object.metadata.annotations?.[ANNOTATION_LEDGER]?.includes('refusedAtMs')) world.sqs.expire(id);
    });
    world.weatherOf('alpha').sqsChance = 1;
    await world.clock.advance(MINUTE_MS);
    world.kill();
    world.weatherOf('alpha').sqsChance = 0;
    // It tells what is owed before it receives.
    world.start();
    await world.clock.advance(MINUTE_MS);
    expect(owing(world)).toHaveLength(1);
    return world;
  }

  test('nor once a later message of its group is delivered, because then it has left the queue unseen', async () => {
    const world = await aWorldThatOwesADelete();
    const next = world.send(world.tenant, '{}', undefined, 'group');
    await world.until('the next one is made', () => world.book.runsOf(next).length === 1, 10_000);
    await world.clock.advance(5_000);
    expect(owing(world).map(({ metadata }) => metadata.name)).toEqual([world.book.runsOf(next)[0]?.name]);
    await world.until('the next one is done', () => world.isDone(next), 5 * MINUTE_MS);
    expect(world.violations).toEqual([]);
  });

  test('nor once polls have brought nothing for longer than a receive could hide it', async () => {
    const world = await aWorldThatOwesADelete();
    await world.clock.advance(2 * MINUTE_MS);
    expect(owing(world)).toEqual([]);
    expect(world.violations).toEqual([]);
  });
});

describe('a FIFO group', () => {
  test('whose first message is rejected loses no other to the dead-letter queue', async () => {
    const world = await aWorld(SPEC, { fifo: true });
    const rejected = world.send(world.tenant, '{}', { deed: 'reject', times: Infinity }, 'group');
    const others = Array.from({ length: 5 }, () => world.send(world.tenant, '{}', undefined, 'group'));
    await world.clock.advance(15 * MINUTE_MS);
    expect(world.sqs.places().get(rejected)).toBe('dead-letter queue');
    expect(others.map((id) => world.sqs.places().get(id))).toEqual(others.map(() => 'deleted'));
  });

  test('is not run past a message whose Job somebody else has taken away', async () => {
    const once = { failedJobsHistoryLimit: 0, retry: { minBackoffSeconds: 20, maxBackoffSeconds: 20 } };
    const world = await aWorld({ ...SPEC, ...once, queue: { batchSize: 3 } }, { fifo: true });
    world.workersRun(1_000, 1);
    const first = world.send(world.tenant, '{}', undefined, 'group');
    await world.until(
      'it failed',
      () => world.sqs.receiveCountOf(first) === 1 && world.jobs().length === 0,
      30_000,
    );
    world.workersRun(30_000, 0);
    // Another attempt than the first one's, so it is received with that one and waits for its own Job.
    const second = world.send(world.tenant, '{}', undefined, 'group');
    await world.until('it runs again', () => world.jobs().length === 1, MINUTE_MS);
    expect(world.sqs.receiveCountOf(second)).toBe(1);
    const [job] = world.jobs();
    const { namespace = '', name = '' } = job?.metadata ?? {};
    world.api.update({ resource: JOBS, namespace, name }, ({ metadata }) => {
      metadata.finalizers = [];
    });
    world.api.delete(JOBS, namespace, name);
    await world.until('both are done', () => world.isDone(first) && world.isDone(second), 15 * MINUTE_MS);
    expect(world.violations).toEqual([]);
  });

  test('goes back last to first when its BatchQueue is deleted before it had a Job', async () => {
    const world = await aWorld({ ...SPEC, queue: { batchSize: 3 } }, { fifo: true });
    world.api.admission = (_, plural) =>
      plural === JOBS.plural ? kubeFailure('Forbidden', 'terminal') : undefined;
    const ids = ['1', '2', '3'].map((body) => world.send(world.tenant, body, undefined, 'group'));
    await world.until('they are held', () => ids.every((id) => world.sqs.receiveCountOf(id) > 0), MINUTE_MS);
    world.deleteBatchQueue();
    await world.until('they are back', () => world.sqs.describe().visible === ids.length, MINUTE_MS);
    expect(world.violations).toEqual([]);
  });
});
