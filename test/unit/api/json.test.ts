import { describe, expect, test } from '@jest/globals';
import { isSameJson } from '../../../operator/api/json.ts';

describe('isSameJson', () => {
  const object = { a: 1, b: [{ c: null }, 'd'], e: { f: true } };

  test.each<[string, unknown, unknown]>([
    ['equal values', 'x', 'x'],
    ['a copy', object, structuredClone(object)],
    ['fields in another order', { a: 1, b: 2 }, { b: 2, a: 1 }],
    ['a field that is undefined and none', { a: 1, b: undefined }, { a: 1 }],
    ['none and a field that is undefined', { a: 1 }, { a: 1, b: undefined }],
  ])('holds for %s', (_, a, b) => {
    expect(isSameJson(a, b)).toBe(true);
  });

  test.each<[string, unknown, unknown]>([
    ['other values', 1, '1'],
    ['null and an object', null, {}],
    ['null and none', { a: null }, {}],
    ['a list and an object with its indexes', ['x'], { 0: 'x' }],
    ['an object with its indexes and a list', { 0: 'x' }, ['x']],
    ['a longer list', ['x'], ['x', 'y']],
    ['a list in another order', ['x', 'y'], ['y', 'x']],
    ['a field less', { a: 1, b: 2 }, { a: 1 }],
    ['a field more', { a: 1 }, { a: 1, b: 2 }],
    ['a field more that every object inherits', {}, { constructor: 'x' }],
    ['a field less that every object inherits', { constructor: 'x' }, {}],
    ['a difference deep inside', object, { ...object, b: [{ c: 0 }, 'd'] }],
  ])('does not hold for %s', (_, a, b) => {
    expect(isSameJson(a, b)).toBe(false);
  });
});
