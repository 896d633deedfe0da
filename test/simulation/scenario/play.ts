import { messageOf } from '../../../operator/errors.ts';
import { BATCH_QUEUES, SECRETS } from '../../../operator/world.ts';
import { INVARIANTS } from '../invariants/table.ts';
import { fairWeather } from '../operator/weather.ts';
import { Sightings } from '../sightings.ts';
import type { State } from '../states.ts';
import { Book } from '../truth/book.ts';
import type { Violation } from '../truth/view.ts';
import { World } from '../world.ts';
import { happen, restartSome } from './chaos.ts';
import { drawMix } from './mix.ts';
import type { Stage } from './stage.ts';

const MINUTE_MS = 60_000;
/** Within this time after the last fault everything must have come to an end. */
const RECOVERY_MS = 240 * MINUTE_MS;
/** Counts are looked at every five seconds for two minutes, then once a minute in turn; some lag by half a minute. */
const UNTIL_REST_MS = 7 * MINUTE_MS;
/** Payload Secrets that no Job uses are looked for every ten minutes while there are some that are not old enough. */
const UNTIL_SWEPT_MS = 22 * MINUTE_MS;
const REST_MS = 4 * MINUTE_MS;
/** More than twelve hours, and a lease of the longest kind. */
const OUTLAST_MS = (12 * 60 + 20) * MINUTE_MS;

/** What a seed showed. */
export interface Play {
  readonly seed: number;
  readonly violations: readonly Violation[];
  readonly seen: readonly State[];
  /** Virtual time that has passed, and requests that were sent. */
  readonly virtualMs: number;
  readonly requests: number;
}

/** Plays the history of a seed: trouble, recovery, rest. Ends at the first violation. */
export async function play(seed: number, trace?: (line: string) => void): Promise<Play> {
  const sightings = new Sightings();
  const world = new World({ seed, invariants: [...INVARIANTS, sightings.observer], trace });
  const startMs = world.clock.now();
  const { random } = world;
  const mix = drawMix(random);
  world.isFair = mix.trouble === 'none';
  world.keepsLeases = mix.trouble !== 'anything';
  world.trace(() => `mix ${JSON.stringify(mix)}`);
  const tenants = mix.tenants.map((tenantMix) => {
    const tenant = world.addTenant(tenantMix);
    world.apply(tenant, tenantMix.spec);
    return [tenant, tenantMix] as const;
  });
  const stage: Stage = { world, mix, random, sightings, tenants };
  // The operator's own process ends with an error that nobody takes.
  const crash = (error: unknown) => {
    if (world.violations.length === 0) world.broken('I11 no-crash', messageOf(error));
  };
  process.on('unhandledRejection', crash);
  try {
    await live(stage);
    if (mix.outlasts) await outlast(stage);
    await recover(stage);
    if (world.violations.length === 0) await rest(stage);
  } catch (error) {
    world.broken('I13 settles', messageOf(error));
  } finally {
    process.off('unhandledRejection', crash);
  }
  for (const { name } of world.operators.values()) world.kill(name);
  const virtualMs = world.clock.now() - startMs;
  return {
    seed,
    violations: world.violations,
    seen: sightings.seen(),
    virtualMs,
    requests: world.requests.length,
  };
}

async function live(stage: Stage): Promise<void> {
  const { world, mix, random } = stage;
  for (const name of mix.operators) world.start(name);
  for (let step = 0; step < mix.steps && world.violations.length === 0; step += 1) {
    await world.clock.advance(happen(stage));
    restartSome(stage, 0.6);
    await world.clock.advance(random.chance(0.3) ? random.between(1, 500) : random.between(500, 20_000));
  }
}

/** One worker runs on for longer than SQS lets a message be held; nothing else goes wrong in that time. */
async function outlast(stage: Stage): Promise<void> {
  const { world, tenants } = stage;
  for (const weather of world.weather.values()) Object.assign(weather, fairWeather());
  world.startProblem = undefined;
  world.refusalChance = 0;
  world.api.admission = () => undefined;
  restartSome(stage, 1);
  const [first] = tenants;
  if (!first) return;
  const [tenant, { spec, fifo }] = first;
  if (!world.batchQueue(tenant) || !world.api.accepts(tenant.namespace)) return;
  world.apply(tenant, spec);
  world.send(tenant, 'x', { deed: 'hang', times: 1 }, fifo ? 'a-group-of-its-own' : undefined);
  const endMs = world.clock.now() + OUTLAST_MS;
  while (world.clock.now() < endMs && world.violations.length === 0) {
    await world.clock.advance(MINUTE_MS);
    retain(stage);
  }
}

/** Everything works again; what is left must come to an end. */
async function recover(stage: Stage): Promise<void> {
  const { world, random, tenants } = stage;
  if (world.violations.length > 0) return;
  world.heal();
  restartSome(stage, 1);
  await world.clock.advance(2_000);
  for (const [tenant, { spec }] of tenants) {
    const isThere = world.batchQueue(tenant) !== undefined;
    const isGoing = world.batchQueue(tenant)?.metadata.deletionTimestamp !== undefined;
    if (isGoing || !world.api.accepts(tenant.namespace) || (!isThere && random.chance(0.5))) continue;
    world.apply(tenant, spec);
  }
  // One that is about to end leaves its place to a next one first.
  const isEnding = () =>
    [...world.operators.values()].some((operator) => !operator.alive || operator.isEnding());
  const isOver = () => world.violations.length > 0 || (isSettled(stage) && !isEnding());
  const endMs = world.clock.now() + RECOVERY_MS;
  while (!isOver()) {
    if (world.clock.now() >= endMs) {
      world.broken('I13 settles', `after ${RECOVERY_MS} ms there is left: ${whatIsLeft(stage).join('; ')}`);
      return;
    }
    restartSome(stage, 1);
    retain(stage);
    await world.clock.advance(2_000);
  }
}

/** Without a redrive policy only the queue's retention ends what was rejected. */
function retain({ world, tenants, sightings }: Stage): void {
  for (const [{ model }] of tenants) {
    if (model.hasDeadLetters()) continue;
    for (const { id, place } of model.messages().values()) {
      const isRejected = world.book.runsOf(id).some((run) => Book.unitOf(run, id)?.state === 'rejected');
      if (place !== 'queue' || !isRejected || world.book.liveRunsOf(id).length > 0) continue;
      model.expire(id);
      sightings.see('expired by retention');
    }
  }
}

async function rest(stage: Stage): Promise<void> {
  const { world, sightings } = stage;
  if (stage.mix.operators.length > 1 && sightings.seen().includes('intake held')) takeOver(stage);
  const hasSecrets = world.api.list(SECRETS).items.length > 0;
  await world.clock.advance(hasSecrets ? UNTIL_SWEPT_MS : UNTIL_REST_MS);
  world.restSinceMs = world.clock.now();
  await world.clock.advance(REST_MS);
  world.checkEnd();
}

/**
 * A process learns from what it sees start whether intake is still to be held, and of two that act at the same time, as no
 * Lease would let them, one may miss it. So a new one takes over from both, and lists.
 */
function takeOver({ world, mix }: Stage): void {
  for (const name of mix.operators) world.kill(name);
  world.start(mix.operators[0]);
}

function isSettled(stage: Stage): boolean {
  return whatIsLeft(stage, 1).length === 0;
}

/** What has not come to an end, the first few. */
function whatIsLeft({ world, tenants }: Stage, limit = 5): readonly string[] {
  const left: string[] = [];
  const now = world.clock.now();
  for (const run of world.book.runs()) {
    if (left.length >= limit) return left;
    if (!run.gone && (run.finished === 'no' || run.owesSettlement)) left.push(`Job ${run.name}`);
  }
  for (const [{ model, name, namespace }] of tenants) {
    const isServed = world.api.get(BATCH_QUEUES, namespace, name) !== undefined;
    const inQueue = [...model.messages().values()].filter(({ place }) => place === 'queue');
    const open = isServed ? inQueue : inQueue.filter(({ visibleAtMs }) => visibleAtMs > now);
    left.push(...open.slice(0, limit - left.length).map(({ id }) => `message ${id} in the queue`));
  }
  return left;
}
