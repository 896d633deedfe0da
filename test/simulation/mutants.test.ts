import { describe, expect, test } from '@jest/globals';
import { hunt } from './campaigns.ts';
import { assertAnchored } from './mutants/mutant.ts';
import { MUTANTS } from './mutants/table.ts';

/** A planted fault must be found within so many seeds; that these break nothing without it is what seeds.test.ts shows. */
const LIMIT = 500;

describe('a planted fault', () => {
  test.each(MUTANTS)('$name stands where it is to be planted', ({ name, edits }) => {
    expect(() => edits.forEach((edit) => assertAnchored(name, edit))).not.toThrow();
  });

  test('whose text is not there is refused', () => {
    const edit = { file: 'operator/plan/lease.ts', find: 'this text is nowhere', replace: '' };
    expect(() => assertAnchored('any', edit)).toThrow('stands 0 times');
  });

  // The seed that is known to find it is played first; the others only when it no longer does.
  test.each(MUTANTS)(
    '$name is found: $breaks',
    async ({ name }) => {
      const { found, played } = await hunt(name, LIMIT);
      expect({ isFound: found !== undefined, within: played <= LIMIT }).toEqual({
        isFound: true,
        within: true,
      });
      expect(found?.seed).toBeLessThanOrEqual(LIMIT);
    },
    600_000,
  );
});
