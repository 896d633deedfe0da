import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { factorsFrom } from '../../../worker/factors.ts';

function first(count: number, seed: string): number[] {
  const factors = factorsFrom(seed);
  return Array.from({ length: count }, () => factors());
}

describe('The factors of a seed', () => {
  test('never change, or a retry across an upgrade would write other bytes', () => {
    expect(first(3, 'input.csv')).toEqual([0.8868370131589473, 0.8268332792446017, 1.1980696057900786]);
  });

  test('are the same again for the same seed and others for another', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (one, other) => {
        expect(first(5, one)).toEqual(first(5, one));
        fc.pre(one !== other);
        expect(first(5, one)).not.toEqual(first(5, other));
      }),
    );
  });

  test('lie in [0.8, 1.2) and are spread evenly', () => {
    const drawn = first(100_000, 'spread');
    const tenths = Array.from({ length: 10 }, () => 0);
    for (const factor of drawn) {
      expect(factor >= 0.8 && factor < 1.2).toBe(true);
      const tenth = Math.floor((factor - 0.8) / 0.04);
      tenths[tenth] = (tenths[tenth] ?? 0) + 1;
    }
    // Five standard deviations of a binomial count around 10,000.
    for (const count of tenths) expect(Math.abs(count - 10_000)).toBeLessThan(475);
  });
});
