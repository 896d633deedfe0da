import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import type { ElectionTimings } from '../../../operator/kube/election.ts';
import { ElectionWorld } from '../../support/election-world.ts';

/** The same histories in every run; fast-check prints the one that fails, shortened. */
const SEED = 20_261_127;
const HISTORIES = 100;

const TIMINGS: ElectionTimings = { leaseDurationMs: 10_000, renewDeadlineMs: 7_000, retryPeriodMs: 2_000 };
/** As fast and as slow as a clock may be without anybody noticing; far more than any real one. */
const RATES = [0.9, 0.97, 1, 1.03, 1.1];

type Step =
  | { readonly kind: 'pass'; readonly ms: number }
  | { readonly kind: 'join'; readonly rate: number }
  | { readonly kind: 'loss'; readonly loss: number }
  | { readonly kind: 'latency'; readonly ms: number }
  | { readonly kind: 'date'; readonly who: number; readonly offsetMs: number }
  | { readonly kind: 'sleep' | 'wake' | 'cut' | 'mend' | 'kill' | 'handOver'; readonly who: number }
  | { readonly kind: 'deleteLease' };

const who = fc.nat(3);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ kind: fc.constant('pass' as const), ms: fc.integer({ min: 1, max: 15_000 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('join' as const), rate: fc.constantFrom(...RATES) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('loss' as const), loss: fc.constantFrom(0, 0.1, 0.5, 0.9) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('latency' as const), ms: fc.constantFrom(2, 50, 500, 3_000) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('date' as const),
      who,
      offsetMs: fc.constantFrom(-3_600_000, 0, 3_600_000),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constantFrom(
        'sleep' as const,
        'wake' as const,
        'cut' as const,
        'mend' as const,
        'kill' as const,
        'handOver' as const,
      ),
      who,
    }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: 'deleteLease' as const }) },
);

async function take(world: ElectionWorld, next: Step): Promise<void> {
  const living = world.candidates.filter((candidate) => candidate.isAlive());
  const one = 'who' in next ? living[next.who % Math.max(1, living.length)] : undefined;
  switch (next.kind) {
    case 'pass':
      await world.pass(next.ms);
      return;
    case 'join':
      if (living.length < 4) world.join(next.rate);
      return;
    case 'loss':
      world.loss = next.loss;
      return;
    case 'latency':
      world.latencyMs = next.ms;
      return;
    case 'date':
      if (one) one.dateOffsetMs = next.offsetMs;
      return;
    case 'sleep':
      return one?.sleep();
    case 'wake':
      return one?.wake();
    case 'cut':
    case 'mend':
      if (one) one.isCutOff = next.kind === 'cut';
      return;
    case 'kill':
      return one?.kill();
    case 'handOver':
      // Not awaited: the world must go on for it to be answered.
      if (one) void one.elector.handOver(0).then(() => one.kill());
      return;
    case 'deleteLease':
      return world.deleteLease();
  }
}

describe('whatever happens to processes, clocks, network and Lease', () => {
  test('two never act at once, and when all is well again one does', async () => {
    let leaders = 0;
    let losses = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          seed: fc.nat(),
          isShipped: fc.boolean(),
          steps: fc.array(step, { minLength: 10, maxLength: 60, size: 'max' }),
        }),
        async ({ seed, isShipped, steps }) => {
          const world = new ElectionWorld(seed, TIMINGS);
          if (isShipped) world.makeLease();
          world.join();
          world.join(1.03);
          for (const next of steps) {
            await take(world, next);
            world.check();
          }

          world.loss = 0;
          world.latencyMs = 20;
          for (const candidate of world.candidates) {
            candidate.isCutOff = false;
            candidate.wake();
          }
          if (!world.candidates.some((candidate) => candidate.isAlive())) world.join();
          // A handed-over process may be on its way out; a newcomer stands for whoever is left.
          world.join();
          // What was sent slowly arrives, a lost holder is waited for, and a reflector's backoff ends.
          await world.pass(40_000);
          expect(world.acting()).toHaveLength(1);
          const [first] = world.acting();
          expect(await world.pass(60_000)).toBe(0);
          expect(world.acting()).toEqual([first]);
          expect(world.holder()).toBe(first);
          leaders += world.candidates.filter(({ told }) => told.includes('lead')).length;
          losses += world.candidates.filter(({ told }) => told.includes('lost')).length;
        },
      ),
      { seed: SEED, numRuns: HISTORIES, endOnFailure: true },
    );
    // The histories are worth something: leadership moved, and was lost.
    expect(leaders).toBeGreaterThan(HISTORIES);
    expect(losses).toBeGreaterThan(HISTORIES / 10);
  }, 120_000);
});
