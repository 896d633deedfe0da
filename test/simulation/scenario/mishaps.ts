import { JOBS } from '../../../operator/world.ts';
import { kubeFailure } from '../kubernetes/failures.ts';
import type { CrashPoint } from '../operator/process.ts';
import type { SqsFault } from '../operator/weather.ts';
import type { Tenant } from '../truth/tenant.ts';
import type { World } from '../world.ts';
import type { TenantMix } from './mix.ts';
import { queueOf, type Stage, type Steps, someOperator, someTenant } from './stage.ts';
import { deleteBatchQueue, deleteNamespace, MOST_SENT, send, sendTo } from './users.ts';

const SQS_FAULTS: readonly (readonly SqsFault[])[] = [
  ['refused'],
  ['lost'],
  ['throttled'],
  ['partial'],
  ['late'],
  ['denied'],
  ['refused', 'lost', 'throttled', 'partial', 'late'],
];
const CRASH_POINTS: readonly CrashPoint[] = [
  'before it is sent',
  'when it is carried out',
  'when it is answered',
];

/** What goes wrong with SQS and with operators, and what takes away everything at once. */
export const MISHAPS: Steps = [
  [3, sqsWeather],
  [4, crash],
  [1, kill],
  [1, terminate],
  [1, pause],
  [1.5, sleepThroughLease],
  [4, blindTakeover],
  [2, duplicate],
  [1, deleteBatchQueue],
  [0.3, deleteNamespace],
];

function sqsWeather(stage: Stage): void {
  const { world, random } = stage;
  const weather = world.weatherOf(someOperator(stage));
  weather.sqsChance = random.pick([0, 0, 0.1, 0.3, 0.6, 1]) ?? 0;
  weather.sqsFaults = random.pick(SQS_FAULTS) ?? [];
  world.disturb(`SQS fails at ${weather.sqsChance}: ${weather.sqsFaults.join(' ')}`);
}

function crash(stage: Stage): void {
  const { world, random, sightings } = stage;
  const point = random.pick(CRASH_POINTS) ?? 'when it is carried out';
  const requests = random.between(1, 30);
  world.operators.get(someOperator(stage))?.crashAt(requests, point);
  if (point === 'before it is sent') sightings.see('crash before a request');
  else if (point === 'when it is carried out') sightings.see('crash when a request is carried out');
  else sightings.see('crash when a request is answered');
}

function kill(stage: Stage): void {
  stage.world.kill(someOperator(stage));
}

function terminate(stage: Stage): void {
  const { world, sightings } = stage;
  const operator = world.operators.get(someOperator(stage));
  if (!operator?.alive) return;
  world.disturb(`operator ${operator.name} told to end`);
  operator.drain(() => world.disturb(`operator ${operator.name} has ended`));
  world.clock.after(60_000, () => operator.kill());
  if (world.jobs().some(({ metadata }) => metadata.finalizers?.length)) sightings.see('SIGTERM during work');
}

function pause(stage: Stage): void {
  const { world, random, sightings } = stage;
  const operator = world.operators.get(someOperator(stage));
  const ms = random.between(5_000, 60_000);
  world.disturb(`operator ${operator?.name} stands still for ${ms} ms`);
  operator?.pause(ms);
  sightings.see('operator paused');
}

/** Jobs are refused for a while, so that messages wait; then the process sleeps longer than their leases last. */
function sleepThroughLease(stage: Stage): void {
  const { world, random } = stage;
  send(stage);
  const operator = world.operators.get(someOperator(stage));
  world.disturb('Jobs are refused, then an operator sleeps');
  const before = world.api.admission;
  world.api.admission = (_, plural) =>
    plural === JOBS.plural ? kubeFailure('Forbidden', 'terminal') : undefined;
  world.clock.after(random.between(500, 15_000), () => {
    if (world.isHealed) return;
    operator?.pause(random.between(8_000, 60_000));
    world.api.admission = before;
  });
}

/**
 * One operator leads and makes Jobs; then it ends, or cannot reach SQS any more, and the others, whose watches have been
 * silent all the while, take over what they do not see.
 */
function blindTakeover(stage: Stage): number {
  const { world, mix, random } = stage;
  const tenant = aBatchingTenant(stage);
  const leadsForMs = random.between(100, 15_000);
  // What the leader held comes back, once at least, while the others see nothing of its Jobs.
  const timeoutMs = Math.min(60, queueOf(tenant[0]).visibilityTimeoutSeconds) * 1_000;
  const forMs = leadsForMs + timeoutMs + random.between(10_000, 60_000);
  const leader = someOperator(stage);
  const standbys = mix.operators.filter((name) => name !== leader);
  const isKilled = random.chance(0.3);
  world.disturb(`${leader} leads, watches of the others are silent for ${forMs} ms`);
  for (const name of standbys) {
    world.operators.get(name)?.fence();
    world.weatherOf(name).watchSilentUntilMs = world.clock.now() + forMs;
  }
  sendTo(tenant, stage, MOST_SENT * 2);
  world.clock.after(leadsForMs, () => {
    if (world.isHealed) return;
    if (isKilled) world.kill(leader);
    else cutOff(leader, forMs, world);
    for (const name of standbys) world.operators.get(name)?.unfence();
  });
  return leadsForMs + random.between(5_000, 60_000);
}

/** One whose messages run together and soon come back, if there is any. */
function aBatchingTenant(stage: Stage): readonly [Tenant, TenantMix] {
  const batching = stage.tenants.filter(([tenant, { fifo }]) => {
    const { batchSize, visibilityTimeoutSeconds } = queueOf(tenant);
    return !fifo && batchSize > 1 && visibilityTimeoutSeconds <= 60;
  });
  return stage.random.pick(batching) ?? someTenant(stage);
}

function cutOff(name: string, forMs: number, world: World): void {
  world.disturb(`${name} cannot reach SQS`);
  const weather = world.weatherOf(name);
  Object.assign(weather, { sqsChance: 1, sqsFaults: ['refused'] });
  world.clock.after(forMs, () => Object.assign(weather, { sqsChance: 0 }));
}

function duplicate(stage: Stage): void {
  const [tenant] = someTenant(stage);
  const id = stage.random.pick([...tenant.model.messages().keys()]);
  if (id === undefined) return;
  stage.world.disturb(`SQS delivers ${id} once more`);
  tenant.model.duplicate(id);
}
