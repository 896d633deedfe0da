import { expect, test } from '@jest/globals';
import { playSeeds } from './campaigns.ts';
import { INVARIANTS } from './invariants/table.ts';
import { RARE_STATES, STATES } from './states.ts';

const SEEDS = 500;

test(`in ${SEEDS} histories nothing is lost, nothing runs twice, and all of it comes to rest`, async () => {
  const { broken, seen } = await playSeeds(1, SEEDS);
  // The seed and what it breaks; `npm run sim -- --seed N` replays it.
  expect(broken && { seed: broken.seed, violations: broken.violations }).toBeUndefined();
  expect(STATES.filter((state) => seen.get(state) === 0 && !RARE_STATES.has(state))).toEqual([]);
}, 600_000);

test('every invariant has a name of its own and a sentence', () => {
  expect(new Set(INVARIANTS.map(({ name }) => name)).size).toBe(INVARIANTS.length);
  expect(INVARIANTS.filter(({ sentence, watch, atEnd }) => sentence === '' || !(watch ?? atEnd))).toEqual([]);
});
