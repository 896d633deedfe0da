import { JOBS, PODS } from '../../../operator/world.ts';
import { kubeFailure } from '../kubernetes/failures.ts';
import { phaseOf } from '../kubernetes/kubelet.ts';
import type { KubeFault } from '../operator/weather.ts';
import { type Stage, type Steps, someOperator } from './stage.ts';
import { MOST_SENT, send, sendSome } from './users.ts';

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

/** What goes wrong in Kubernetes. */
export const CLUSTER: Steps = [
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

function watchWeather(stage: Stage): void {
  const { world, random } = stage;
  const weather = world.weatherOf(someOperator(stage));
  weather.watchLagMs = random.pick([1, 50, 500, 3_000]) ?? 50;
  if (random.chance(0.3)) weather.watchSilentUntilMs = world.clock.now() + random.between(1_000, 60_000);
  world.disturb(`watches are up to ${weather.watchLagMs} ms late`);
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
    world.api.log.compact(Number(world.api.resourceVersion));
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
