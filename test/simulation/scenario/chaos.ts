import { CLUSTER } from './cluster.ts';
import { MISHAPS } from './mishaps.ts';
import type { Trouble } from './mix.ts';
import type { Stage, Steps } from './stage.ts';
import { USERS } from './users.ts';

const STEPS: Readonly<Record<Trouble, Steps>> = {
  none: USERS,
  Kubernetes: [...USERS, ...CLUSTER],
  anything: [...USERS, ...CLUSTER, ...MISHAPS],
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
