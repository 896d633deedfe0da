import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { formatIndexes, parseIndexes } from '../../../operator/plan/index-list.ts';

describe('a list of indexes', () => {
  test('is read as it was written, in the shortest text', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat(99)), (indexes) => {
        const text = formatIndexes(indexes) ?? '';
        expect(parseIndexes(text, 100)).toEqual(new Set(indexes));
        expect(text).not.toMatch(/(\d+)-\1(?!\d)/);
      }),
    );
  });

  test.each([
    [[4, 0, 1, 2, 3, 6], '0-4,6'],
    [[7], '7'],
    [[1, 2], '1-2'],
    [[], undefined],
  ])('%j is written as %s', (indexes, text) => {
    expect(formatIndexes(indexes)).toBe(text);
  });

  test.each([
    ['names an index that there is not', '0-3', 3],
    ['is a number far too large to count to', '0-999999999', 100],
    ['runs backwards', '3-1', 10],
    ['is no list', 'all', 10],
    ['has a gap', '1,,2', 10],
    ['has a space', '1, 2', 10],
    ['is negative', '-1', 10],
  ])('is refused when it %s', (_, text, size) => {
    expect(parseIndexes(text, size)).toBeUndefined();
  });

  test('is whatever anybody wrote, and reading it never throws or hangs', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[0-9,-]{0,40}$/)), (text) => {
        for (const index of parseIndexes(text, 10) ?? []) expect(index).toBeLessThan(10);
      }),
    );
  });
});
