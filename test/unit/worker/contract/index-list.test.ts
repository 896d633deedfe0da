import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { indexListText } from '../../../../worker/contract/index-list.ts';

test.each<[number[], string]>([
  [[], ''],
  [[0], '0'],
  [[0, 1], '0-1'],
  [[6, 0, 1, 2, 4, 3], '0-4,6'],
  [[1, 3, 5], '1,3,5'],
  [[9, 9, 10, 99], '9-10,99'],
])('indexes %j are written %j', (indexes, text) => {
  expect(indexListText(indexes)).toBe(text);
});

test('reading the text back gives the same set', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat(100)), (indexes) => {
      const back = indexListText(indexes)
        .split(',')
        .filter((run) => run !== '')
        .flatMap((run) => {
          const [first = 0, last = first] = run.split('-').map(Number);
          return Array.from({ length: last - first + 1 }, (_, step) => first + step);
        });
      expect(back).toEqual([...indexes].sort((left, right) => left - right));
    }),
  );
});
