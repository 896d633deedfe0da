import { describe, expect, jest, test } from '@jest/globals';
import { ANNOTATION_RESULT, FINALIZER_SETTLEMENT } from '../../../operator/api/names.ts';
import type { KubeObject } from '../../../operator/ports.ts';
import { BATCH_QUEUES, JOBS, REVISIONS } from '../../../operator/world.ts';
import { FakeWorld } from '../../support/fake-world.ts';

jest.setTimeout(60_000);

const SPEC = { maxConcurrentJobs: 3, retry: { minBackoffSeconds: 1, maxBackoffSeconds: 20 } };

/** A world at rest with an operator that polls an empty queue. */
async function aWorld(spec: object = SPEC): Promise<FakeWorld> {
  const world = new FakeWorld();
  world.apply(spec);
  world.start();
  await world.clock.advance(5_000);
  return world;
}

function placeOf(world: FakeWorld, id: string): string | undefined {
  return world.sqs.places().get(id);
}

function conditionOf(world: FakeWorld, type: string): string {
  const conditions: { type: string; status: string; reason: string }[] =
    Object(world.batchQueue()?.['status'])['conditions'] ?? [];
  const found = conditions.find((condition) => condition.type === type);
  return found ? `${found.status} ${found.reason}` : 'none';
}

async function untilDone(world: FakeWorld, ...ids: string[]): Promise<void> {
  await world.until(
    'the messages are done',
    () => ids.every((id) => placeOf(world, id) === 'deleted'),
    120_000,
  );
}

function owes({ metadata }: KubeObject): boolean {
  return metadata.finalizers?.includes(FINALIZER_SETTLEMENT) ?? false;
}

describe('a message', () => {
  test('is received, run once, and deleted after its success', async () => {
    const world = await aWorld();
    const id = world.sqs.send('{}');
    await untilDone(world, id);
    await world.clock.advance(1_000);
    expect(world.jobs()).toHaveLength(1);
    expect(world.jobs().filter(owes)).toEqual([]);
    expect(world.sqs.receiveCountOf(id)).toBe(1);
    expect(world.violations).toEqual([]);
  });

  test('keeps its lease while its Job runs for an hour, whatever the API server does', async () => {
    const world = await aWorld({ ...SPEC, queue: queueWith(10) });
    world.cluster.course = () => ({ runsForMs: 3_600_000, exitCode: 0 });
    const id = world.sqs.send('{}');
    await world.clock.advance(30_000);
    world.faults.kube = 1;
    await world.clock.advance(3_500_000);
    expect(world.sqs.receiveCountOf(id)).toBe(1);
    world.faults.kube = 0;
    await untilDone(world, id);
    expect(world.sqs.receiveCountOf(id)).toBe(1);
  });

  test('that a long poll brings later than a short timeout after it was asked for runs once, on its first receive', async () => {
    const world = await aWorld({ ...SPEC, queue: queueWith(10) });
    await world.until(
      'a poll begins',
      () => world.countSince(world.clock.now() - 500, /^receive/) === 1,
      30_000,
    );
    await world.clock.advance(18_000);
    const id = world.sqs.send('{}');
    await untilDone(world, id);
    expect(world.sqs.receiveCountOf(id)).toBe(1);
    expect(world.jobs()).toHaveLength(1);
  });

  test('that fails is given back, tried again as the next attempt, and dead-lettered in the end', async () => {
    const world = await aWorld();
    world.cluster.course = () => ({ runsForMs: 100, exitCode: 75 });
    const id = world.sqs.send('{}');
    await world.until('it is dead-lettered', () => placeOf(world, id) === 'dead-letter queue', 300_000);
    const attempts = world.jobs().map(({ metadata }) => metadata.labels?.['batchqueue.io/attempt']);
    expect(attempts).toHaveLength(5);
    expect(new Set(attempts)).toEqual(new Set(['1', '2', '3', '4', '5']));
    await world.clock.advance(10_000);
    expect(world.batchQueue()?.['status']).toMatchObject({
      lastFailure: { exitCode: 75, reason: 'TemporaryFailure', message: 'ended with 75' },
    });
  });

  test('that its worker rejects is not run again, and dead-lettered by the redrive policy', async () => {
    const world = await aWorld();
    world.cluster.course = () => ({ runsForMs: 100, exitCode: 65 });
    const id = world.sqs.send('{}');
    await world.until('it is dead-lettered', () => placeOf(world, id) === 'dead-letter queue', 300_000);
    expect(world.jobs()).toHaveLength(1);
    expect(world.events.map(({ reason }) => reason)).toContain('RejectedBefore');
  });

  test('that its worker rejects is copied to the dead-letter queue at once, if the spec says so', async () => {
    const world = await aWorld({ ...SPEC, deadLetter: { sendRejected: true } });
    world.cluster.course = () => ({ runsForMs: 100, exitCode: 65 });
    const id = world.sqs.send('{}');
    await world.until('it is copied', () => placeOf(world, id) === 'deleted', 30_000);
    expect([...world.sqs.copied]).toEqual([[id, 'DataError: ended with 65']]);
    expect(world.sqs.receiveCountOf(id)).toBe(1);
    expect(world.jobs()).toHaveLength(1);
  });

  test('is adopted by its running Job when it comes back after an outage', async () => {
    const world = await aWorld({ ...SPEC, queue: queueWith(10) });
    world.cluster.course = () => ({ runsForMs: 120_000, exitCode: 0 });
    const id = world.sqs.send('{}');
    await world.until('its Job runs', () => world.jobs().length === 1, 30_000);
    world.kill();
    await world.clock.advance(60_000);
    world.start();
    await untilDone(world, id);
    expect(world.jobs()).toHaveLength(1);
    // The poll that was under way when the operator was killed may have swallowed it once.
    expect([2, 3]).toContain(world.sqs.receiveCountOf(id));
    expect(world.events.map(({ reason }) => reason)).toContain('MessageAdopted');
  });

  test('of a Job that somebody deletes comes back when its pod has ended, and not before', async () => {
    const world = await aWorld();
    world.cluster.course = () => ({ runsForMs: 600_000, exitCode: 0 });
    const id = world.sqs.send('{}');
    await world.until('its pod runs', () => world.pods().length === 1, 30_000);
    const [job] = world.jobs();
    world.kube.delete(JOBS, 'shop', job?.metadata.name ?? '');
    await world.until('its pod is asked to end', () => world.pods().some(isEnding), 30_000);
    expect(world.sqs.describe()).toMatchObject({ visible: 0, inFlight: 1 });
    await world.until('it runs again', () => world.sqs.receiveCountOf(id) === 2, 60_000);
    expect(world.jobs().map(({ metadata }) => metadata.name)).not.toContain(job?.metadata.name);
    expect(world.violations).toEqual([]);
  });
});

describe('two operators in turn', () => {
  test('SIGTERM during a poll: what it brings is a Job before the operator ends', async () => {
    const world = await aWorld();
    const drained = world.drain();
    world.sqs.send('{}');
    await drained;
    expect(world.jobs()).toHaveLength(1);
    const pollsBefore = world.countSince(0, /^receive/);
    await world.clock.advance(60_000);
    expect(world.countSince(0, /^receive/)).toBe(pollsBefore);
  });
});

describe('a BatchQueue that is deleted', () => {
  test('has everything given back or settled, and nothing is polled any more', async () => {
    const world = await aWorld();
    world.cluster.course = () => ({ runsForMs: 600_000, exitCode: 0 });
    world.sqs.send('{}');
    await world.until('its pod runs', () => world.pods().length === 1, 30_000);
    world.deleteBatchQueue();
    await world.until('its Jobs are gone', () => world.jobs().length === 0, 60_000);
    await world.clock.advance(30_000);
    expect(world.revisions()).toEqual([]);
    expect(world.sqs.describe()).toMatchObject({ visible: 1, inFlight: 0 });
    const now = world.clock.now();
    await world.clock.advance(300_000);
    expect(world.countSince(now, /./)).toBe(0);
  });

  test('and made again while the old poll is still under way is polled like any other', async () => {
    const world = await aWorld();
    world.deleteBatchQueue();
    await world.clock.advance(2_000);
    world.apply(SPEC);
    await world.clock.advance(30_000);
    await untilDone(world, world.sqs.send('{}'));
  });

  test('with its Jobs orphaned and made again takes its old revision for its own', async () => {
    const world = await aWorld();
    // As the garbage collector does it: first the deletion is noted, then dependents are let go, then the owner goes.
    world.kube.update(BATCH_QUEUES, 'shop', 'orders', ({ metadata }) => {
      metadata.finalizers = ['orphan'];
    });
    world.deleteBatchQueue();
    await world.clock.advance(1_000);
    for (const { metadata } of world.revisions()) {
      world.kube.update(REVISIONS, 'shop', metadata.name, (object) => {
        delete object.metadata.ownerReferences;
      });
    }
    world.kube.update(BATCH_QUEUES, 'shop', 'orders', ({ metadata }) => {
      metadata.finalizers = [];
    });
    await world.clock.advance(30_000);
    expect(world.revisions()).toHaveLength(1);
    world.apply(SPEC);
    await untilDone(world, world.sqs.send('{}'));
    expect(world.busiestSecond()).toBeLessThan(50);
    expect(world.revisions()[0]?.metadata.ownerReferences).toMatchObject([
      { uid: world.batchQueue()?.metadata.uid, controller: true },
    ]);
  });
});

describe('a revision of a BatchQueue that is gone', () => {
  test('in the way of a new one is waited for, not stormed', async () => {
    const world = await aWorld();
    const [revision] = world.revisions();
    world.kube.update(REVISIONS, 'shop', revision?.metadata.name ?? '', (object) => {
      object.metadata.finalizers = ['test/slow'];
    });
    world.deleteBatchQueue();
    await world.clock.advance(30_000);
    world.apply(SPEC);
    await world.clock.advance(30_000);
    expect(world.busiestSecond()).toBeLessThan(50);
    world.kube.update(REVISIONS, 'shop', revision?.metadata.name ?? '', (object) => {
      object.metadata.finalizers = [];
    });
    await untilDone(world, world.sqs.send('{}'));
  });
});

describe('a Job', () => {
  test('that is gone before its settlement is recorded is settled once, however late the watch tells', async () => {
    const world = await aWorld();
    const id = world.sqs.send('{}');
    await world.until('its Job is made', () => world.jobs().length === 1, 30_000);
    world.kill();
    await world.until('it succeeds', () => world.cluster.succeeded.has(id), 30_000);
    world.start();
    world.watchLagMs = 600_000;
    const [job] = world.jobs();
    world.kube.update(JOBS, 'shop', job?.metadata.name ?? '', (object) => {
      object.metadata.finalizers = [];
    });
    world.kube.delete(JOBS, 'shop', job?.metadata.name ?? '');
    const now = world.clock.now();
    await world.clock.advance(30_000);
    expect(placeOf(world, id)).toBe('deleted');
    expect(world.countSince(now, /^delete messages/)).toBe(1);
  });

  test('that fails while the pods of another are listed still tells how its worker ended', async () => {
    const world = await aWorld({ ...SPEC, maxConcurrentJobs: 10, failedJobsHistoryLimit: 100 });
    world.cluster.course = () => ({ runsForMs: 3_000, exitCode: 3 });
    for (let sent = 0; sent < 20; sent += 1) world.sqs.send('{}');
    await world.clock.advance(20_000);
    const results = world.jobs().flatMap(({ metadata }) => metadata.annotations?.[ANNOTATION_RESULT] ?? []);
    expect(results.length).toBeGreaterThan(15);
    const reported = { exitCode: 3, reason: 'Error', message: 'ended with 3' };
    expect(results.map((text): unknown => JSON.parse(text))).toEqual(results.map(() => reported));
  });

  test('of the same name that is not ours is left alone and told of', async () => {
    const world = await aWorld();
    world.apply({ ...SPEC, suspend: true });
    await world.clock.advance(30_000);
    // The name of the Job to come is known: it is a function of queue, message and attempt.
    const probe = new FakeWorld();
    probe.apply(SPEC);
    probe.start();
    probe.sqs.send('{}');
    await probe.clock.advance(5_000);
    const [job] = probe.jobs();
    const foreign = {
      metadata: { name: job?.metadata.name ?? '', labels: { mine: 'yes' } },
      spec: { foreign: true },
    };
    world.kube.create(JOBS, 'shop', foreign);
    world.apply(SPEC);
    const id = world.sqs.send('{}');
    await world.until('it is told', () => conditionOf(world, 'Ready') === 'False JobNotCreated', 60_000);
    expect(world.jobs()).toMatchObject([foreign]);
    expect(placeOf(world, id)).toBe('queue');
    expect(world.busiestSecond()).toBeLessThan(50);
    world.kube.delete(JOBS, 'shop', foreign.metadata.name);
    await untilDone(world, id);
    await world.clock.advance(10_000);
    expect(conditionOf(world, 'Ready')).toBe('True Running');
  });
});

describe('editing', () => {
  test('leaves running Jobs at their revision and gives new ones the new one', async () => {
    const world = await aWorld();
    world.cluster.course = () => ({ runsForMs: 60_000, exitCode: 0 });
    const first = world.sqs.send('{}');
    await world.until('its Job is made', () => world.jobs().length === 1, 30_000);
    world.apply(SPEC, 'worker:2');
    await world.clock.advance(1_000);
    const second = world.sqs.send('{}');
    await untilDone(world, first, second);
    const images = world.jobs().map(({ metadata }) => metadata.annotations?.['batchqueue.io/image']);
    expect(new Set(images)).toEqual(new Set(['worker:1', 'worker:2']));
    expect(world.batchQueue()?.['status']).toMatchObject({ revision: { current: 2, image: 'worker:2' } });
  });

  test('suspend stops receives and not the settlement of what runs', async () => {
    const world = await aWorld();
    const id = world.sqs.send('{}');
    await world.until('its Job is made', () => world.jobs().length === 1, 30_000);
    world.apply({ ...SPEC, suspend: true });
    await untilDone(world, id);
    await world.clock.advance(25_000);
    const now = world.clock.now();
    await world.clock.advance(60_000);
    expect(world.countSince(now, /^receive/)).toBe(0);
    expect(conditionOf(world, 'Dispatching')).toBe('False Suspended');
  });

  test('an invalid spec is told and nothing else happens; corrected, it works', async () => {
    const world = await aWorld();
    world.apply({ ...SPEC, maxConcurrentJobs: -1 });
    await world.clock.advance(25_000);
    expect(conditionOf(world, 'Ready')).toBe('False InvalidSpec');
    world.kube.update(BATCH_QUEUES, 'shop', 'orders', () => {});
    world.apply(SPEC);
    await untilDone(world, world.sqs.send('{}'));
  });
});

function queueWith(visibilityTimeoutSeconds: number): object {
  return { url: 'https://sqs.us-east-1.amazonaws.com/123456789012/orders', visibilityTimeoutSeconds };
}

function isEnding({ metadata }: KubeObject): boolean {
  return metadata.deletionTimestamp !== undefined;
}
