import type { SeededRandom } from '../../support/seeded-random.ts';

/** How the work on one message goes, execution by execution. */
export type Deed =
  | 'succeed'
  /** Exit code 1: something went wrong. */
  | 'fail'
  /** 75, 78, 65 of the contract. */
  | 'postpone'
  | 'misconfigured'
  | 'reject'
  /** Out of memory. */
  | 'die'
  /** Never ends by itself. */
  | 'hang';

export const EXIT_CODES: Readonly<Record<Deed, number>> = {
  succeed: 0,
  fail: 1,
  postpone: 75,
  misconfigured: 78,
  reject: 65,
  die: 137,
  hang: 0,
};

/** What becomes of a message: it goes wrong so many times, then it succeeds. */
export interface Fate {
  readonly deed: Deed;
  readonly times: number;
}

const WRONG: readonly Deed[] = ['fail', 'fail', 'fail', 'postpone', 'misconfigured', 'reject', 'die', 'hang'];

/** Drawn when the message is sent. */
export function drawFate(random: SeededRandom, troubleChance: number): Fate {
  if (!random.chance(troubleChance)) return { deed: 'succeed', times: 0 };
  const deed = random.pick(WRONG) ?? 'fail';
  const isPoison = random.chance(0.2) && deed !== 'hang';
  return { deed, times: isPoison ? Number.POSITIVE_INFINITY : random.between(1, 2) };
}

/** The deed of this execution, the first being 0. */
export function deedOf(fate: Fate, execution: number): Deed {
  return execution < fate.times ? fate.deed : 'succeed';
}
