import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { backoffSeconds, MAX_VISIBILITY_SECONDS } from '../../../operator/plan/backoff.ts';

const ids = Array.from({ length: 200 }, (_, index) => `message-${index}`);

const backoff = fc
  .tuple(
    fc.integer({ min: 1, max: MAX_VISIBILITY_SECONDS }),
    fc.integer({ min: 1, max: MAX_VISIBILITY_SECONDS }),
  )
  .map(([a, b]) => ({ minBackoffSeconds: Math.min(a, b), maxBackoffSeconds: Math.max(a, b) }));

describe('backoffSeconds', () => {
  test('is a whole number between the minimum and the maximum, and the same when asked again', () => {
    fc.assert(
      fc.property(backoff, fc.integer({ min: 1, max: 5_000 }), fc.string(), (limits, attempt, id) => {
        const seconds = backoffSeconds(limits, attempt, id);
        expect(Number.isInteger(seconds)).toBe(true);
        expect(seconds).toBeGreaterThanOrEqual(limits.minBackoffSeconds);
        expect(seconds).toBeLessThanOrEqual(limits.maxBackoffSeconds);
        expect(backoffSeconds(limits, attempt, id)).toBe(seconds);
      }),
    );
  });

  test('has ceilings that double with the attempt until the maximum and never fall', () => {
    const limits = { minBackoffSeconds: 10, maxBackoffSeconds: 3600 };
    const longest = [1, 2, 3, 4, 9, 10, 40].map((attempt) =>
      Math.max(...ids.map((id) => backoffSeconds(limits, attempt, id))),
    );
    for (const [index, ceiling] of [10, 20, 40, 80, 2560, 3600, 3600].entries()) {
      expect(longest[index]).toBeLessThanOrEqual(ceiling);
      expect(longest[index]).toBeGreaterThan(ceiling * 0.9);
    }
  });

  test('spreads messages that failed together over the upper half', () => {
    const delays = ids.map((id) => backoffSeconds({ minBackoffSeconds: 10, maxBackoffSeconds: 3600 }, 8, id));
    expect(new Set(delays).size).toBeGreaterThan(100);
    expect(Math.min(...delays)).toBeGreaterThanOrEqual(640);
    expect(Math.min(...delays)).toBeLessThan(700);
  });

  test('gives one message another delay with another attempt although both are at the maximum', () => {
    const limits = { minBackoffSeconds: 1, maxBackoffSeconds: 3600 };
    expect(backoffSeconds(limits, 20, 'a')).not.toBe(backoffSeconds(limits, 21, 'a'));
  });
});
