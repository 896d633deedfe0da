import { jobName } from '../../../operator/plan/job-name.ts';
import { BATCH_QUEUES, JOBS, PODS } from '../../../operator/world.ts';
import type { SeededRandom } from '../../support/seeded-random.ts';
import { kubeFailure } from '../kubernetes/failures.ts';
import { phaseOf } from '../kubernetes/kubelet.ts';
import type { CrashPoint } from '../operator/process.ts';
import type { KubeFault, SqsFault } from '../operator/weather.ts';
import type { Sightings } from '../sightings.ts';
import type { Tenant } from '../truth/tenant.ts';
import { drawFate } from '../worker/fate.ts';
import type { World } from '../world.ts';
import type { Mix, TenantMix, Trouble } from './mix.ts';

export interface Stage {
  readonly world: World;
  readonly mix: Mix;
  readonly random: SeededRandom;
  readonly sightings: Sightings;
  readonly tenants: readonly (readonly [Tenant, TenantMix])[];
}

/** Returns for how long nothing else is to happen, in milliseconds, where it takes its time. */
type Step = (stage: Stage) => number | void;

/** Messages sent at once: enough for a batch that does not fit, few enough to be worked off in no time. */
const MOST_SENT = 15;

const KUBE_FAULTS: readonly (readonly KubeFault[])[] = [
  ['refused'],
  ['reset', 'lost'],
  ['lost'],
  ['error'],
  ['timeout'],
  ['throttled'],
  ['forbidden'],
  ['refused', 'reset', 'lost', 'error', 'timeout', 'throttled'],
];
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

/** What users do, in fair weather too. */
const ORDINARY: readonly (readonly [weight: number, Step])[] = [
  [8, send],
  [1, edit],
  [1, suspendOrResume],
  [1, scale],
  [1, deleteJob],
  [0.4, squat],
];

/** What goes wrong in Kubernetes. */
const KUBERNETES_TROUBLE: readonly (readonly [weight: number, Step])[] = [
  [3, kubeWeather],
  [2, kubeAway],
  [2, watchWeather],
  [1.5, loseCreates],
  [1, breakWatches],
  [1, disrupt],
  [1, deletePod],
  [1, startProblem],
  [1, nodesRefuse],
  [1, quota],
];

/** What goes wrong besides. */
const TROUBLE: readonly (readonly [weight: number, Step])[] = [
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

const STEPS: Readonly<Record<Trouble, readonly (readonly [weight: number, Step])[]>> = {
  none: ORDINARY,
  Kubernetes: [...ORDINARY, ...KUBERNETES_TROUBLE],
  anything: [...ORDINARY, ...KUBERNETES_TROUBLE, ...TROUBLE],
};

/** One thing that happens; what it is comes from the seed. Returns for how long nothing else is to happen, in milliseconds. */
export function happen(stage: Stage): number {
  const steps = STEPS[stage.mix.trouble];
  const total = steps.reduce((sum, [weight]) => sum + weight, 0);
  let left = stage.random.next() * total;
  for (const [weight, step] of steps) {
    left -= weight;
    if (left < 0) return step(stage) ?? 0;
  }
  return 0;
}

/** Operators that have ended start again, sooner or later. */
export function restartSome({ world, mix, random }: Stage, chance: number): void {
  for (const name of mix.operators) {
    if (!world.operators.get(name)?.alive && random.chance(chance)) world.start(name);
  }
}

function send(stage: Stage): void {
  sendSome(stage, MOST_SENT);
}

function sendSome(stage: Stage, most: number): void {
  sendTo(someTenant(stage), stage, most);
}

function sendTo([tenant, mix]: readonly [Tenant, TenantMix], stage: Stage, most: number): void {
  const { world, random } = stage;
  const { batchSize } = queueOf(tenant);
  const count = random.between(1, batchSize > 1 ? Math.min(most, batchSize * 2) : 4);
  for (let sent = 0; sent < count; sent += 1) {
    const length = random.chance(mix.largeBodyChance)
      ? (random.pick([40_000, 40_000, 800_000]) ?? 0)
      : mix.bodyLength;
    const group = mix.fifo ? `group-${random.between(1, mix.groups)}` : undefined;
    world.send(tenant, 'x'.repeat(length), drawFate(random, mix.troubleChance), group);
  }
}

function edit(stage: Stage): void {
  const [tenant] = someTenant(stage);
  if (!stage.world.batchQueue(tenant)) return;
  stage.world.apply(tenant, tenant.spec, `worker:${stage.random.between(1, 3)}`);
}

function suspendOrResume(stage: Stage): void {
  const [tenant] = someTenant(stage);
  if (!stage.world.batchQueue(tenant)) return;
  stage.world.apply(tenant, { ...tenant.spec, suspend: tenant.spec['suspend'] !== true });
}

function scale(stage: Stage): void {
  const [tenant] = someTenant(stage);
  if (!stage.world.batchQueue(tenant)) return;
  stage.world.apply(tenant, { ...tenant.spec, maxConcurrentJobs: stage.random.between(0, 6) });
}

function deleteJob({ world, random }: Stage): void {
  const job = random.pick(world.jobs());
  if (!job || job.metadata.deletionTimestamp !== undefined) return;
  const { namespace = '', name } = job.metadata;
  const propagationPolicy = random.pick(['Background', 'Background', 'Foreground', 'Orphan'] as const);
  world.disturb(`somebody deletes Job ${name} (${propagationPolicy})`);
  world.api.delete(JOBS, namespace, name, { ...(propagationPolicy && { propagationPolicy }) });
}

/** Somebody has made a Job under the very name that a message's Job is to get. */
function squat(stage: Stage): void {
  const { world, random } = stage;
  const [tenant, mix] = someTenant(stage);
  const { name, namespace, model } = tenant;
  if (!world.api.accepts(namespace)) return;
  // One that is sent this very moment, or one that waits.
  const fresh = world.send(
    tenant,
    'x',
    undefined,
    mix.fifo ? `group-${random.between(1, mix.groups)}` : undefined,
  );
  const waiting = [...model.messages().keys()].filter((id) => world.book.runsOf(id).length === 0);
  const messageId = random.chance(0.5) ? fresh : (random.pick(waiting) ?? fresh);
  const jobOfMessage = { batchQueueName: name, queueArn: model.ref.arn, messageId, lock: 1, run: 1 };
  const squatter = jobName(jobOfMessage);
  if (world.api.get(JOBS, namespace, squatter)) return;
  world.disturb(`somebody makes a Job called ${squatter}`);
  const spec = { template: { spec: { containers: [{ name: 'mine' }] } } };
  try {
    world.api.create(JOBS, namespace, { metadata: { name: squatter, labels: { mine: 'yes' } }, spec });
  } catch {
    // A quota is there for everybody.
  }
}

function kubeWeather(stage: Stage): void {
  const { world, random } = stage;
  const weather = world.weatherOf(someOperator(stage));
  weather.kubeChance = random.pick([0, 0, 0.1, 0.3, 0.6, 1]) ?? 0;
  weather.kubeFaults = random.pick(KUBE_FAULTS) ?? [];
  world.disturb(`API server fails at ${weather.kubeChance}: ${weather.kubeFaults.join(' ')}`);
}

/** Messages come in, and then nobody reaches the API server, for less time than a lease lasts or for more. */
function kubeAway(stage: Stage): void {
  const { world, random } = stage;
  send(stage);
  world.clock.after(random.between(100, 5_000), () => {
    if (!world.isHealed) takeApiAway(stage);
  });
}

function takeApiAway({ world, mix, random }: Stage): void {
  const forMs = random.between(5_000, 90_000);
  const kubeFaults = random.pick([['refused'], ['timeout'], ['reset']] as const) ?? [];
  world.disturb(`API server is away for ${forMs} ms: ${kubeFaults.join(' ')}`);
  for (const name of mix.operators) {
    Object.assign(world.weatherOf(name), { kubeChance: 1, kubeFaults });
    world.operators.get(name)?.breakWatches();
  }
  world.clock.after(forMs, () => {
    for (const name of mix.operators) world.weatherOf(name).kubeChance = 0;
  });
}

function sqsWeather(stage: Stage): void {
  const { world, random } = stage;
  const weather = world.weatherOf(someOperator(stage));
  weather.sqsChance = random.pick([0, 0, 0.1, 0.3, 0.6, 1]) ?? 0;
  weather.sqsFaults = random.pick(SQS_FAULTS) ?? [];
  world.disturb(`SQS fails at ${weather.sqsChance}: ${weather.sqsFaults.join(' ')}`);
}

function watchWeather(stage: Stage): void {
  const { world, random } = stage;
  const weather = world.weatherOf(someOperator(stage));
  weather.watchLagMs = random.pick([1, 50, 500, 3_000]) ?? 50;
  if (random.chance(0.3)) weather.watchSilentUntilMs = world.clock.now() + random.between(1_000, 60_000);
  world.disturb(`watches are up to ${weather.watchLagMs} ms late`);
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

/** Messages come in while answers to creates are lost, or come too late. */
function loseCreates(stage: Stage): void {
  const { world, random } = stage;
  const name = someOperator(stage);
  const weather = world.weatherOf(name);
  world.disturb(`answers of the API server to ${name} are lost`);
  Object.assign(weather, { kubeChance: 0.7, kubeFaults: ['timeout', 'timeout', 'reset', 'lost'] });
  for (let sent = 0; sent < 4; sent += 1) {
    world.clock.after(random.between(0, 4_000), () => {
      if (!world.isHealed) sendSome(stage, MOST_SENT * 2);
    });
  }
  world.clock.after(random.between(5_000, 20_000), () => Object.assign(weather, { kubeChance: 0 }));
}

function breakWatches(stage: Stage): void {
  const { world, random, sightings } = stage;
  if (random.chance(0.5)) {
    world.api.log.compact(Number(world.api.list(JOBS).resourceVersion));
    sightings.see('watch gone and listed again');
  }
  world.operators.get(someOperator(stage))?.breakWatches();
}

function disrupt({ world, random, sightings }: Stage): void {
  const pod = random.pick(world.pods().filter((each) => phaseOf(each) === 'Running'));
  if (!pod || pod.metadata.deletionTimestamp !== undefined) return;
  world.disturb(`node of pod ${pod.metadata.name} is drained`);
  world.kubelet.disrupt(pod);
  sightings.see('pod disrupted and replaced');
}

function deletePod({ world, random }: Stage): void {
  const pod = random.pick(world.pods());
  if (!pod || pod.metadata.deletionTimestamp !== undefined) return;
  world.disturb(`somebody deletes pod ${pod.metadata.name}`);
  world.api.delete(PODS, pod.metadata.namespace ?? '', pod.metadata.name);
}

function duplicate(stage: Stage): void {
  const [tenant] = someTenant(stage);
  const id = stage.random.pick([...tenant.model.messages().keys()]);
  if (id === undefined) return;
  stage.world.disturb(`SQS delivers ${id} once more`);
  tenant.model.duplicate(id);
}

function startProblem({ world, random, sightings }: Stage): void {
  world.startProblem = world.startProblem
    ? undefined
    : random.pick([
        { kind: 'unschedulable', message: '0/3 nodes are available: 3 Insufficient cpu.' },
        { kind: 'waiting', reason: 'ImagePullBackOff', message: 'Back-off pulling image "worker:1"' },
        { kind: 'waiting', reason: 'CreateContainerConfigError', message: 'secret "x" not found' },
      ]);
  world.disturb(world.startProblem ? 'no pod starts any more' : 'pods start again');
  sightings.see('pods that never start');
}

function nodesRefuse({ world, random, sightings }: Stage): void {
  world.refusalChance = random.pick([0, 0.3, 1]) ?? 0;
  world.disturb(`nodes refuse pods at ${world.refusalChance}`);
  if (world.refusalChance > 0) sightings.see('node refuses pods');
}

function quota({ world, random, sightings }: Stage): void {
  const isOn = random.chance(0.5);
  world.disturb(isOn ? 'a quota refuses Jobs' : 'the quota allows Jobs again');
  world.api.admission = (_, plural) => {
    if (!isOn || plural !== JOBS.plural) return undefined;
    sightings.see('quota refused a Job');
    return kubeFailure('Forbidden', 'terminal');
  };
}

function deleteBatchQueue(stage: Stage): void {
  const { world, random, sightings } = stage;
  const [tenant] = someTenant(stage);
  const object = world.batchQueue(tenant);
  const { name, namespace } = tenant;
  if (!object) {
    if (!world.api.accepts(namespace)) return;
    world.apply(tenant, tenant.spec);
    sightings.see('BatchQueue made again');
    return;
  }
  if (object.metadata.deletionTimestamp !== undefined) return;
  const propagationPolicy = random.pick(['Background', 'Foreground', 'Orphan'] as const) ?? 'Background';
  world.disturb(`somebody deletes BatchQueue ${name} (${propagationPolicy})`);
  world.api.delete(BATCH_QUEUES, namespace, name, { propagationPolicy });
  if (propagationPolicy === 'Orphan') sightings.see('BatchQueue orphaned');
  else if (world.jobs().some(({ metadata }) => metadata.finalizers?.length))
    sightings.see('BatchQueue deleted with Jobs');
}

function deleteNamespace(stage: Stage): void {
  const [{ namespace }] = someTenant(stage);
  stage.world.disturb(`somebody deletes namespace ${namespace}`);
  stage.world.garbage.deleteNamespace(namespace);
  stage.sightings.see('namespace deleted');
}

function someTenant({ tenants, random }: Stage): readonly [Tenant, TenantMix] {
  const found = random.pick(tenants);
  if (!found) throw new Error('a world without a BatchQueue');
  return found;
}

function queueOf({ spec }: Tenant): { batchSize: number; visibilityTimeoutSeconds: number } {
  const { batchSize = 1, visibilityTimeoutSeconds = 300 } = Object(spec['queue']);
  return { batchSize, visibilityTimeoutSeconds };
}

function someOperator({ mix, random }: Stage): string {
  return random.pick(mix.operators) ?? 'alpha';
}
