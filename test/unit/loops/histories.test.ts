import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { FINALIZER_SETTLEMENT } from '../../../operator/api/names.ts';
import { batchQueueStatusSchema } from '../../../operator/api/status.ts';
import { JOBS } from '../../../operator/world.ts';
import { FakeCluster } from '../../support/fake-cluster.ts';
import { FakeWorld } from '../../support/fake-world.ts';

/** The same histories in every run; fast-check prints the one that fails, shortened. */
const SEED = 20_260_101;
const HISTORIES = 100;
const MAX_JOBS = 3;
/** Requests per second that only an operator turning in circles sends; three Jobs need far fewer. */
const BUSY = 120;
const MINUTE_MS = 60_000;
const KUBE_WRITE = /^(create|patch|delete) (jobs|pods|batchqueues|controllerrevisions)|dry-run/;

type Step =
  | { readonly kind: 'send'; readonly count: number }
  | { readonly kind: 'pass'; readonly ms: number }
  | { readonly kind: 'faults'; readonly kube: number; readonly sqs: number }
  | { readonly kind: 'lag'; readonly ms: number }
  | { readonly kind: 'deleteJob'; readonly index: number }
  | { readonly kind: 'duplicate'; readonly index: number }
  | { readonly kind: 'edit'; readonly image: number }
  | { readonly kind: 'suspend' | 'resume' | 'kill' | 'drain' };

const pass = fc.record({ kind: fc.constant('pass' as const), ms: fc.integer({ min: 1, max: 30_000 }) });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: pass },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('send' as const), count: fc.integer({ min: 1, max: 4 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('faults' as const),
      kube: fc.constantFrom(0, 0.1, 0.5, 1),
      sqs: fc.constantFrom(0, 0.1, 0.5, 1),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('lag' as const), ms: fc.constantFrom(1, 50, 2_000) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('deleteJob' as const), index: fc.nat(9) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('duplicate' as const), index: fc.nat(9) }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('edit' as const), image: fc.integer({ min: 1, max: 3 }) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('kill' as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constantFrom('suspend' as const, 'resume' as const, 'drain' as const) }),
  },
);

const history = fc.record({
  seed: fc.nat(),
  visibilityTimeoutSeconds: fc.constantFrom(10, 10, 30, 300),
  steps: fc.array(step, { minLength: 5, maxLength: 30, size: 'max' }),
});

type History = typeof history extends fc.Arbitrary<infer T> ? T : never;

/** A world in which the history has happened; nothing is fixed yet. */
async function live({ seed, visibilityTimeoutSeconds, steps }: History): Promise<FakeWorld> {
  const world = new FakeWorld(seed);
  const spec = {
    maxConcurrentJobs: MAX_JOBS,
    retry: { minBackoffSeconds: 1, maxBackoffSeconds: 20 },
    queue: { url: 'https://sqs.us-east-1.amazonaws.com/123456789012/orders', visibilityTimeoutSeconds },
  };
  world.cluster.course = () => ({
    runsForMs: world.random.between(0, 25_000),
    exitCode: world.random.pick([0, 0, 1, 65, 137]) ?? 0,
  });
  world.apply(spec);
  world.start();
  for (const next of steps) await take(world, next, spec);
  return world;
}

async function take(world: FakeWorld, next: Step, spec: object): Promise<void> {
  switch (next.kind) {
    case 'send':
      for (let sent = 0; sent < next.count; sent += 1) world.sqs.send('{}');
      return;
    case 'pass':
      return world.clock.advance(next.ms);
    case 'faults':
      world.faults.kube = next.kube;
      world.faults.sqs = next.sqs;
      return;
    case 'lag':
      world.watchLagMs = next.ms;
      return;
    case 'deleteJob': {
      const job = world.jobs()[next.index];
      if (job) world.kube.delete(JOBS, 'shop', job.metadata.name);
      return;
    }
    case 'duplicate': {
      const id = [...world.sqs.places().keys()][next.index];
      if (id !== undefined) world.sqs.duplicate(id);
      return;
    }
    case 'edit':
      return world.apply(spec, `worker:${next.image}`);
    case 'suspend':
    case 'resume':
      return world.apply({ ...spec, suspend: next.kind === 'suspend' });
    case 'kill':
      world.kill();
      return world.start();
    case 'drain':
      await world.drain();
      return world.start();
  }
}

/** Everything works again and every Job succeeds: what is left must come to an end. */
async function recover(world: FakeWorld): Promise<void> {
  world.faults.kube = 0;
  world.faults.sqs = 0;
  world.watchLagMs = 50;
  world.cluster.course = () => ({ runsForMs: 1_000, exitCode: 0 });
  const spec = Object(world.batchQueue()?.['spec']);
  world.apply({ ...spec, suspend: false });
  const isDone = () => [...world.sqs.places().values()].every((place) => place !== 'queue');
  await world.until('every message is done or in the dead-letter queue', isDone, 60 * MINUTE_MS);
  // Counts are looked at every five seconds for two minutes, then once a minute in turn.
  await world.clock.advance(6 * MINUTE_MS);
}

describe('whatever happens', () => {
  test('nothing is lost, nothing runs twice at once, and all of it comes to rest', async () => {
    await fc.assert(
      fc.asyncProperty(history, async (events) => {
        const world = await live(events);
        await recover(world);
        const { violations, sqs, clock, cluster } = world;
        expect(violations).toEqual([]);

        for (const [id, place] of sqs.places()) {
          if (place === 'deleted') expect(cluster.succeeded).toContain(id);
          else expect(place).toBe('dead-letter queue');
        }
        const jobs = world.jobs();
        expect(jobs.filter((job) => FakeCluster.isActive(job))).toEqual([]);
        expect(jobs.filter(({ metadata }) => metadata.finalizers?.includes(FINALIZER_SETTLEMENT))).toEqual(
          [],
        );

        const status = batchQueueStatusSchema.parse(world.batchQueue()?.['status']);
        expect(status).toMatchObject({
          jobs: { active: 0, pending: 0, running: 0 },
          queue: { visible: 0, inFlight: 0, delayed: 0, deadLetter: sqs.countDeadLetters() },
        });
        const conditions = Object.fromEntries(
          (status.conditions ?? []).map((each) => [each.type, each.status]),
        );
        expect(conditions).toMatchObject({ Ready: 'True', Dispatching: 'True', Drained: 'True' });

        expect(world.busiestSecond()).toBeLessThan(BUSY);

        const restMs = clock.now();
        await clock.advance(5 * MINUTE_MS);
        expect(world.countSince(restMs, KUBE_WRITE)).toBe(0);
        expect(world.countSince(restMs, /^receive/)).toBeLessThanOrEqual(16);
        expect(world.countSince(restMs, /^describe/)).toBeLessThanOrEqual(6);
        expect(world.countSince(restMs, /^(renew|release|delete messages)/)).toBe(0);
        world.kill();
      }),
      { seed: SEED, numRuns: HISTORIES, endOnFailure: true },
    );
  }, 120_000);
});
