import { describe, expect, jest, test } from '@jest/globals';
import { ANNOTATION_RESULT, FINALIZER_SETTLEMENT } from '../../operator/api/names.ts';
import type { KubeObject } from '../../operator/ports.ts';
import { BATCH_QUEUES, JOBS, REVISIONS } from '../../operator/world.ts';
import { SmallWorld } from './small-world.ts';

jest.setTimeout(60_000);

const SPEC = { maxConcurrentJobs: 3, retry: { minBackoffSeconds: 1, maxBackoffSeconds: 20 } };

/** A world at rest with an operator that polls an empty queue. */
async function aWorld(spec: object = SPEC): Promise<SmallWorld> {
  const world = new SmallWorld();
  world.applySpec(spec);
  world.start();
  await world.clock.advance(5_000);
  return world;
}

function placeOf(world: SmallWorld, id: string): string | undefined {
  return world.sqs.places().get(id);
}

function conditionOf(world: SmallWorld, type: string): string {
  const conditions: { type: string; status: string; reason: string }[] =
    Object(world.object()?.['status'])['conditions'] ?? [];
  const found = conditions.find((condition) => condition.type === type);
  return found ? `${found.status} ${found.reason}` : 'none';
}

/** Sends a message whose Job's create gets no answer before its timeout of four seconds, carried out or not. */
async function sendWithHangingCreate(world: SmallWorld): Promise<string> {
  const weather = world.weatherOf('alpha');
  Object.assign(weather, { kubeChance: 1, kubeFaults: ['timeout'] });
  const sinceMs = world.clock.now();
  const id = world.send(world.tenant, '{}');
  await world.until('its create is sent', () => world.countSince(sinceMs, /^create jobs/) === 1, 5_000);
  weather.kubeChance = 0;
  return id;
}

async function untilDone(world: SmallWorld, ...ids: string[]): Promise<void> {
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
    const id = world.send(world.tenant, '{}');
    await untilDone(world, id);
    await world.clock.advance(1_000);
    expect(world.jobs()).toHaveLength(1);
    expect(world.jobs().filter(owes)).toEqual([]);
    expect(world.sqs.receiveCountOf(id)).toBe(1);
    expect(world.violations).toEqual([]);
  });

  test('keeps its lease while its Job runs for an hour, whatever the API server does', async () => {
    const world = await aWorld({ ...SPEC, queue: queueWith(10) });
    world.workersRun(3_600_000, 0);
    const id = world.send(world.tenant, '{}');
    await world.clock.advance(30_000);
    world.weatherOf('alpha').kubeChance = 1;
    await world.clock.advance(3_500_000);
    expect(world.sqs.receiveCountOf(id)).toBe(1);
    world.weatherOf('alpha').kubeChance = 0;
    await untilDone(world, id);
    expect(world.sqs.receiveCountOf(id)).toBe(1);
  });

  test('that comes while the create of another one hangs has its Job at once', async () => {
    const world = await aWorld();
    const hanging = await sendWithHangingCreate(world);

    const other = world.send(world.tenant, '{}');

    const holdsOther = ({ metadata }: KubeObject) => metadata.labels?.['batchqueue.io/message-id'] === other;
    await world.until('the other one has its Job', () => world.jobs().some(holdsOther), 300);
    await untilDone(world, hanging, other);
    expect(world.violations).toEqual([]);
  });

  test.each([
    ['the write of a settlement', { kubeChance: 1, kubeFaults: ['timeout'] }, /^patch jobs/],
    ['the delete of another one', { sqsChance: 1, sqsFaults: ['late'] }, /^delete messages/],
  ])('that comes while %s hangs has its Job at once', async (_, fault, request) => {
    const world = await aWorld();
    world.workersRun(2_000, 0);
    const settled = world.send(world.tenant, '{}');
    await world.until('it has its Job', () => world.jobs().length === 1, 5_000);
    const weather = world.weatherOf('alpha');
    const fair = { ...weather };
    const sinceMs = world.clock.now();
    const hangs = () => world.countSince(sinceMs, request) === 1;
    Object.assign(weather, fault);
    await world.until('its settlement hangs', hangs, 5_000);
    Object.assign(weather, fair);

    const other = world.send(world.tenant, '{}');

    const holdsOther = ({ metadata }: KubeObject) => metadata.labels?.['batchqueue.io/message-id'] === other;
    await world.until('the other one has its Job', () => world.jobs().some(holdsOther), 1_500);
    expect(hangs()).toBe(true);
    await untilDone(world, settled, other);
    expect(world.violations).toEqual([]);
  });

  test('is deleted after its success although the create of another Job hangs', async () => {
    const world = await aWorld();
    world.workersRun(3_000, 0);
    const id = world.send(world.tenant, '{}');
    await world.until('it has its Job', () => world.jobs().length === 1, 5_000);
    await world.clock.advance(2_000);
    const hanging = await sendWithHangingCreate(world);

    await world.until('it is deleted', () => placeOf(world, id) === 'deleted', 3_000);
    expect(placeOf(world, hanging)).toBe('queue');
    await untilDone(world, hanging);
  });

  test('that a long poll brings later than a short timeout after it was asked for runs once, on its first receive', async () => {
    const world = await aWorld({ ...SPEC, queue: queueWith(10) });
    await world.until(
      'a poll begins',
      () => world.countSince(world.clock.now() - 500, /^receive/) === 1,
      30_000,
    );
    await world.clock.advance(18_000);
    const id = world.send(world.tenant, '{}');
    await untilDone(world, id);
    expect(world.sqs.receiveCountOf(id)).toBe(1);
    expect(world.jobs()).toHaveLength(1);
  });

  test('that fails is given back, tried again as the next attempt, and dead-lettered in the end', async () => {
    const world = await aWorld();
    world.workersRun(100, 75);
    const id = world.send(world.tenant, '{}');
    await world.until('it is dead-lettered', () => placeOf(world, id) === 'dead-letter queue', 300_000);
    const attempts = world.jobs().map(({ metadata }) => metadata.labels?.['batchqueue.io/attempt']);
    expect(attempts).toHaveLength(5);
    expect(new Set(attempts)).toEqual(new Set(['1', '2', '3', '4', '5']));
    await world.clock.advance(10_000);
    expect(world.object()?.['status']).toMatchObject({
      lastFailure: { exitCode: 75, reason: 'TemporaryFailure', message: 'ended with 75' },
    });
  });

  test('that its worker rejects is not run again, and dead-lettered by the redrive policy', async () => {
    const world = await aWorld();
    world.workersRun(100, 65);
    const id = world.send(world.tenant, '{}');
    await world.until('it is dead-lettered', () => placeOf(world, id) === 'dead-letter queue', 300_000);
    expect(world.jobs()).toHaveLength(1);
    expect(world.events.map(({ reason }) => reason)).toContain('RejectedBefore');
  });

  test('that its worker rejects is copied to the dead-letter queue at once, if the spec says so', async () => {
    const world = await aWorld({ ...SPEC, deadLetter: { sendRejected: true } });
    world.workersRun(100, 65);
    const id = world.send(world.tenant, '{}');
    await world.until('it is copied', () => placeOf(world, id) === 'deleted', 30_000);
    expect(world.sqs.messages().get(id)?.copies).toEqual(['DataError: ended with 65']);
    expect(world.sqs.receiveCountOf(id)).toBe(1);
    expect(world.jobs()).toHaveLength(1);
  });

  test('is adopted by its running Job when it comes back after an outage', async () => {
    const world = await aWorld({ ...SPEC, queue: queueWith(10) });
    world.workersRun(120_000, 0);
    const id = world.send(world.tenant, '{}');
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
    world.workersRun(600_000, 0);
    const id = world.send(world.tenant, '{}');
    await world.until('its pod runs', () => world.pods().length === 1, 30_000);
    const [job] = world.jobs();
    world.api.delete(JOBS, 'shop', job?.metadata.name ?? '');
    await world.until('its pod is asked to end', () => world.pods().some(isEnding), 30_000);
    expect(world.sqs.describe()).toMatchObject({ visible: 0, inFlight: 1 });
    await world.until('it runs again', () => world.sqs.receiveCountOf(id) === 2, 60_000);
    // Perhaps under the same name, but not the same Job.
    expect(world.jobs().map(({ metadata }) => metadata.uid)).not.toContain(job?.metadata.uid);
    expect(world.violations).toEqual([]);
  });
});

describe('two operators in turn', () => {
  test('SIGTERM during a poll: what it brings is a Job before the operator ends', async () => {
    const world = await aWorld();
    const drained = world.drain();
    world.send(world.tenant, '{}');
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
    world.workersRun(600_000, 0);
    world.send(world.tenant, '{}');
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
    world.applySpec(SPEC);
    await world.clock.advance(30_000);
    await untilDone(world, world.send(world.tenant, '{}'));
  });

  test('with its Jobs orphaned and made again takes its old revision for its own', async () => {
    const world = await aWorld();
    world.deleteBatchQueue('Orphan');
    await world.clock.advance(30_000);
    expect(world.revisions()).toHaveLength(1);
    world.applySpec(SPEC);
    await untilDone(world, world.send(world.tenant, '{}'));
    expect(world.busiestSecond()).toBeLessThan(50);
    expect(world.revisions()[0]?.metadata.ownerReferences).toMatchObject([
      { uid: world.object()?.metadata.uid, controller: true },
    ]);
  });
});

describe('a revision of a BatchQueue that is gone', () => {
  test('in the way of a new one is waited for, not stormed', async () => {
    const world = await aWorld();
    const [revision] = world.revisions();
    world.api.update(
      { resource: REVISIONS, namespace: 'shop', name: revision?.metadata.name ?? '' },
      (object) => {
        object.metadata.finalizers = ['test/slow'];
      },
    );
    world.deleteBatchQueue();
    await world.clock.advance(30_000);
    world.applySpec(SPEC);
    await world.clock.advance(30_000);
    expect(world.busiestSecond()).toBeLessThan(50);
    world.api.update(
      { resource: REVISIONS, namespace: 'shop', name: revision?.metadata.name ?? '' },
      (object) => {
        object.metadata.finalizers = [];
      },
    );
    await untilDone(world, world.send(world.tenant, '{}'));
  });
});

describe('a Job', () => {
  test('that is gone before its settlement is recorded is settled once, however late the watch tells', async () => {
    const world = await aWorld();
    const id = world.send(world.tenant, '{}');
    await world.until('its Job is made', () => world.jobs().length === 1, 30_000);
    world.kill();
    await world.until('it succeeds', () => world.isDone(id), 30_000);
    world.start();
    world.weatherOf('alpha').watchLagMs = 600_000;
    // Long enough to have listed it, too short to have settled it.
    await world.clock.advance(45);
    const [job] = world.jobs();
    world.api.update({ resource: JOBS, namespace: 'shop', name: job?.metadata.name ?? '' }, (object) => {
      object.metadata.finalizers = [];
    });
    world.api.delete(JOBS, 'shop', job?.metadata.name ?? '');
    await world.clock.advance(30_000);
    expect(placeOf(world, id)).toBe('deleted');
    expect(world.countSince(0, /^delete messages/)).toBe(1);
  });

  test('that fails while the pods of another are listed still tells how its worker ended', async () => {
    const world = await aWorld({ ...SPEC, maxConcurrentJobs: 10, failedJobsHistoryLimit: 100 });
    world.workersRun(3_000, 3);
    for (let sent = 0; sent < 20; sent += 1) world.send(world.tenant, '{}');
    await world.clock.advance(20_000);
    const results = world.jobs().flatMap(({ metadata }) => metadata.annotations?.[ANNOTATION_RESULT] ?? []);
    expect(results.length).toBeGreaterThan(15);
    const reported = { exitCode: 3, reason: 'Error', message: 'ended with 3' };
    expect(results.map((text): unknown => JSON.parse(text))).toEqual(results.map(() => reported));
  });

  test('of the same name that is not ours is left alone and told of', async () => {
    const world = await aWorld();
    world.applySpec({ ...SPEC, suspend: true });
    await world.clock.advance(30_000);
    // The name of the Job to come is known: it is a function of queue, message and attempt.
    const probe = new SmallWorld();
    probe.applySpec(SPEC);
    probe.start();
    probe.send(probe.tenant, '{}');
    await probe.clock.advance(5_000);
    const [job] = probe.jobs();
    const foreign = {
      metadata: { name: job?.metadata.name ?? '', labels: { mine: 'yes' } },
      spec: { foreign: true },
    };
    world.api.create(JOBS, 'shop', foreign);
    world.applySpec(SPEC);
    const id = world.send(world.tenant, '{}');
    await world.until('it is told', () => conditionOf(world, 'Ready') === 'False JobNotCreated', 60_000);
    expect(world.jobs()).toMatchObject([foreign]);
    expect(placeOf(world, id)).toBe('queue');
    expect(world.busiestSecond()).toBeLessThan(50);
    world.api.delete(JOBS, 'shop', foreign.metadata.name);
    await untilDone(world, id);
    await world.clock.advance(10_000);
    expect(conditionOf(world, 'Ready')).toBe('True Running');
  });
});

describe('editing', () => {
  test('leaves running Jobs at their revision and gives new ones the new one', async () => {
    const world = await aWorld();
    world.workersRun(60_000, 0);
    const first = world.send(world.tenant, '{}');
    await world.until('its Job is made', () => world.jobs().length === 1, 30_000);
    world.applySpec(SPEC, 'worker:2');
    await world.clock.advance(1_000);
    const second = world.send(world.tenant, '{}');
    await untilDone(world, first, second);
    const images = world.jobs().map(({ metadata }) => metadata.annotations?.['batchqueue.io/image']);
    expect(new Set(images)).toEqual(new Set(['worker:1', 'worker:2']));
    expect(world.object()?.['status']).toMatchObject({ revision: { current: 2, image: 'worker:2' } });
  });

  test('suspend stops receives and not the settlement of what runs', async () => {
    const world = await aWorld();
    const id = world.send(world.tenant, '{}');
    await world.until('its Job is made', () => world.jobs().length === 1, 30_000);
    world.applySpec({ ...SPEC, suspend: true });
    await untilDone(world, id);
    await world.clock.advance(25_000);
    const now = world.clock.now();
    await world.clock.advance(60_000);
    expect(world.countSince(now, /^receive/)).toBe(0);
    expect(conditionOf(world, 'Dispatching')).toBe('False Suspended');
  });

  test('an invalid spec is told and nothing else happens; corrected, it works', async () => {
    const world = await aWorld();
    world.applySpec({ ...SPEC, maxConcurrentJobs: -1 });
    await world.clock.advance(25_000);
    expect(conditionOf(world, 'Ready')).toBe('False InvalidSpec');
    world.api.update({ resource: BATCH_QUEUES, namespace: 'shop', name: 'orders' }, () => {});
    world.applySpec(SPEC);
    await untilDone(world, world.send(world.tenant, '{}'));
  });
});

function queueWith(visibilityTimeoutSeconds: number): object {
  return { url: 'https://sqs.us-east-1.amazonaws.com/123456789012/orders', visibilityTimeoutSeconds };
}

function isEnding({ metadata }: KubeObject): boolean {
  return metadata.deletionTimestamp !== undefined;
}
