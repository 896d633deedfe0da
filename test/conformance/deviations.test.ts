import { describe, expect, test } from '@jest/globals';
import { CASES } from './cases.ts';
import { DEVIATIONS } from './deviations.ts';

describe('the table of deviations', () => {
  test.each(DEVIATIONS.map((row) => [row.subject, row.case, row] as const))(
    '%s: %s',
    (_, caseName, { observed, what }) => {
      const known = CASES.find(({ name }) => name === caseName);
      expect(known).toBeDefined();
      expect(observed).not.toEqual(known?.aws);
      expect(what).not.toBe('');
    },
  );

  test('has at most one row for a case of a subject', () => {
    const keys = DEVIATIONS.map((row) => `${row.subject} ${row.case}`);
    expect(new Set(keys).size).toBe(keys.length);
  });
});

test('cases are told apart by their names', () => {
  expect(new Set(CASES.map(({ name }) => name)).size).toBe(CASES.length);
});
