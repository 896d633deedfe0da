import type { SeededRandom } from '../../support/seeded-random.ts';
import type { Sightings } from '../sightings.ts';
import type { Tenant } from '../truth/tenant.ts';
import type { World } from '../world.ts';
import type { Mix, TenantMix } from './mix.ts';

/** What a history is played on. */
export interface Stage {
  readonly world: World;
  readonly mix: Mix;
  readonly random: SeededRandom;
  readonly sightings: Sightings;
  readonly tenants: readonly (readonly [Tenant, TenantMix])[];
}

/** Returns for how long nothing else is to happen, in milliseconds, where it takes its time. */
export type Step = (stage: Stage) => number | void;

/** What may happen, and how often compared with the others. */
export type Steps = readonly (readonly [weight: number, Step])[];

/** One of the BatchQueues, with what its world was drawn as. */
export function someTenant({ tenants, random }: Stage): readonly [Tenant, TenantMix] {
  const found = random.pick(tenants);
  if (!found) throw new Error('a world without a BatchQueue');
  return found;
}

/** The name of one of the operators, whether or not it lives. */
export function someOperator({ mix, random }: Stage): string {
  return random.pick(mix.operators) ?? 'alpha';
}

/** What the spec says of its queue, defaults included. */
export function queueOf({ spec }: Tenant): { batchSize: number; visibilityTimeoutSeconds: number } {
  const { batchSize = 1, visibilityTimeoutSeconds = 300 } = Object(spec['queue']);
  return { batchSize, visibilityTimeoutSeconds };
}
