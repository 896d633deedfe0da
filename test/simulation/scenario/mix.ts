import type { SeededRandom } from '../../support/seeded-random.ts';
import type { Manner } from '../worker/report.ts';

/** What goes wrong outside of the work: the less it is, the more must hold. */
export type Trouble = 'none' | 'Kubernetes' | 'anything';

/** What kind of world a seed makes. */
export interface Mix {
  readonly trouble: Trouble;
  readonly operators: readonly string[];
  readonly tenants: readonly TenantMix[];
  /** How many things happen before everything is made good. */
  readonly steps: number;
  /** One worker runs for longer than SQS's twelve hours. */
  readonly outlasts: boolean;
}

export interface TenantMix {
  readonly name: string;
  readonly fifo: boolean;
  readonly maxReceiveCount: number | undefined;
  readonly countsLagMs: number;
  readonly manner: Manner;
  readonly workMs: readonly [min: number, max: number];
  /** How often the work on a message goes wrong. */
  readonly troubleChance: number;
  readonly groups: number;
  /** Characters in a body: of most messages, and of some. */
  readonly bodyLength: number;
  readonly largeBodyChance: number;
  readonly spec: Readonly<Record<string, unknown>>;
}

/** Draws the world of a seed. */
export function drawMix(random: SeededRandom): Mix {
  const trouble = drawTrouble(random);
  const outlasts = trouble === 'anything' && random.chance(0.008);
  // Two that see things differently would overwrite each other's status for twelve hours.
  const isShared = trouble === 'anything' && !outlasts && random.chance(0.5);
  const operators = isShared ? ['alpha', 'beta'] : ['alpha'];
  const count = random.chance(0.75) ? 1 : 2;
  const tenants = Array.from({ length: count }, (_, index) =>
    drawTenant(random, `queue-${index + 1}`, { trouble, outlasts }),
  );
  return { trouble, operators, tenants, steps: random.between(6, 18), outlasts };
}

function drawTrouble(random: SeededRandom): Trouble {
  const drawn = random.next();
  if (drawn < 0.1) return 'none';
  return drawn < 0.22 ? 'Kubernetes' : 'anything';
}

function drawTenant(random: SeededRandom, name: string, kind: Pick<Mix, 'trouble' | 'outlasts'>): TenantMix {
  const fifo = random.chance(0.3);
  const indexed = !fifo && random.chance(0.25);
  return {
    name,
    fifo,
    maxReceiveCount: random.chance(0.85) ? random.pick([2, 3, 5, 10, 20]) : undefined,
    countsLagMs: oneOf(random, [0, 0, 10_000, 30_000]),
    manner: oneOf(random, ['plain', 'lists', 'lists', 'careless']),
    workMs: oneOf<[number, number]>(random, [
      [100, 8_000],
      [1_000, 60_000],
    ]),
    troubleChance: oneOf(random, [0, 0.1, 0.3, 0.7]),
    groups: random.between(1, 4),
    bodyLength: oneOf(random, [20, 20, 200, 2_000]),
    largeBodyChance: random.chance(0.12) ? 0.15 : 0,
    spec: {
      maxConcurrentJobs: random.between(1, 6),
      retry: { minBackoffSeconds: 1, maxBackoffSeconds: oneOf(random, [5, 20, 60]) },
      successfulJobsHistoryLimit: oneOf(random, [0, 1, 3, 10]),
      failedJobsHistoryLimit: oneOf(random, [0, 1, 5, 20]),
      deadLetter: { sendRejected: random.chance(0.3) },
      queue: drawQueue(random, { fifo, indexed, ...kind }),
      jobTemplate: { spec: drawJob(random, { fifo, indexed, ...kind }) },
    },
  };
}

interface QueueKind extends Pick<Mix, 'trouble' | 'outlasts'> {
  readonly fifo: boolean;
  readonly indexed: boolean;
}

function drawQueue(random: SeededRandom, { fifo, indexed, trouble, outlasts }: QueueKind): object {
  const batchSize = drawBatchSize(random, fifo, indexed);
  const drawn = oneOf(random, trouble === 'none' ? [30, 60, 300] : [10, 10, 30, 60, 300]);
  // Twelve hours of short leases would be thousands of renewals.
  const visibilityTimeoutSeconds = outlasts ? 3_600 : drawn;
  if (batchSize === 1) return { visibilityTimeoutSeconds };
  return { visibilityTimeoutSeconds, batchSize, batchWindowSeconds: oneOf(random, [0, 0, 1, 5, 20]) };
}

function drawJob(random: SeededRandom, { indexed, outlasts }: QueueKind): object {
  return {
    ...(indexed ? { completionMode: 'Indexed', parallelism: oneOf(random, [1, 3, 10]) } : {}),
    ...(random.chance(0.3) && !outlasts ? { activeDeadlineSeconds: random.between(20, 120) } : {}),
  };
}

function drawBatchSize(random: SeededRandom, fifo: boolean, indexed: boolean): number {
  if (fifo) return oneOf(random, [1, 1, 3, 10]);
  return oneOf(random, indexed ? [3, 10, 10, 100] : [1, 1, 1, 3, 10, 100]);
}

function oneOf<T>(random: SeededRandom, values: readonly [T, ...T[]]): T {
  return random.pick(values) ?? values[0];
}
