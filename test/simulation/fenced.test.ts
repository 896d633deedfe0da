import { beforeEach, describe, expect, jest, test } from '@jest/globals';
import { JOBS } from '../../operator/world.ts';
import { hasCondition } from './kubernetes/job-state.ts';
import { SmallWorld } from './small-world.ts';

const MINUTE_MS = 60_000;
const EFFECTS = /^(create|patch|delete|release|receive)/;

let world: SmallWorld;
jest.setTimeout(30_000);

beforeEach(async () => {
  world = new SmallWorld();
  world.workersRun(5_000, 0);
  world.applySpec({
    queue: { url: 'https://sqs.us-east-1.amazonaws.com/123456789012/orders', visibilityTimeoutSeconds: 60 },
    maxConcurrentJobs: 2,
  });
  world.start();
  await world.clock.advance(2_000);
});

describe('an operator that may not act for a while', () => {
  test('keeps the lease of what runs, sends nothing else, and makes up for it afterwards', async () => {
    const id = world.send(world.tenant, '{}');
    await world.until('a Job', () => world.jobs().length === 1, 5_000);
    world.operators.get('alpha')?.fence();
    // What is under way is answered, and the open poll ends.
    await world.clock.advance(21_000);
    const fencedAtMs = world.clock.now();
    await world.clock.advance(3 * MINUTE_MS);
    expect(world.jobs().filter((job) => hasCondition(job, 'Complete'))).toHaveLength(1);
    expect(world.sqs.places().get(id)).toBe('queue');
    expect(world.countSince(fencedAtMs, EFFECTS)).toBe(0);
    expect(world.countSince(fencedAtMs, /^renew/)).toBeGreaterThanOrEqual(8);

    world.operators.get('alpha')?.unfence();
    await world.until('the settlement', () => world.sqs.places().get(id) === 'deleted', 5_000);
    await world.until('a poll', () => world.countSince(world.clock.now() - 5_000, /^receive/) > 0, 5_000);
    expect(world.busiestSecond()).toBeLessThan(60);
    expect(world.violations).toEqual([]);
  });

  test('keeps what it has received for a minute, then leaves it to whoever may', async () => {
    // A poll under way takes the message, which cannot become a Job any more.
    world.operators.get('alpha')?.fence();
    world.send(world.tenant, '{}');
    await world.clock.advance(1_000);
    expect(world.sqs.describe().inFlight).toBe(1);
    await world.clock.advance(58_000);
    expect(world.sqs.describe().inFlight).toBe(1);
    await world.clock.advance(2 * MINUTE_MS);
    expect(world.sqs.describe().inFlight).toBe(0);

    world.operators.get('alpha')?.unfence();
    await world.until('the Job', () => world.jobs().length === 1, 30_000);
    expect(world.violations).toEqual([]);
  });

  test('goes on with what it has received when it may act again within that minute', async () => {
    world.operators.get('alpha')?.fence();
    world.send(world.tenant, '{}');
    await world.clock.advance(30_000);
    world.operators.get('alpha')?.unfence();
    await world.until('the Job', () => world.jobs().length === 1, 1_000);
    expect(world.countSince(0, /^receive/)).toBeLessThanOrEqual(3);
  });
});

describe('what is counted', () => {
  test('begins with the BatchQueue and ends with it', async () => {
    expect(world.counted).toEqual(['known shop/orders']);
    world.deleteBatchQueue();
    // What is collected after it may make it known once more, for a moment.
    await world.clock.advance(MINUTE_MS);
    expect(world.counted.at(-1)).toBe('forgotten shop/orders');
  });

  test('includes a lease that ended', async () => {
    world.send(world.tenant, '{}');
    world.workersRun(10 * MINUTE_MS, 0);
    await world.until('a Job', () => world.jobs().length === 1, 5_000);
    world.weatherOf('alpha').sqsChance = 1;
    await world.clock.advance(2 * MINUTE_MS);
    world.weatherOf('alpha').sqsChance = 0;
    expect(world.counted.filter((line) => line === 'leaseLapses shop/orders')).toHaveLength(1);
    expect(world.api.list(JOBS).items).toHaveLength(1);
  });
});
