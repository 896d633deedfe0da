import { expect, test } from '@jest/globals';
import { stringify } from 'csv-stringify/sync';
import * as fc from 'fast-check';
import { CsvWriter } from '../../../worker/csv-writer.ts';

function written(rows: readonly (readonly string[])[]): string {
  const writer = new CsvWriter();
  for (const row of rows) writer.add(row);
  return writer.take().toString('latin1');
}

const unit = fc.constantFrom(...'a1 .-+=@#;\'\t\0\u0085\u00e9\u00ff", \n\r'.split(''));
const row = fc.array(fc.string({ unit, maxLength: 5 }), { minLength: 1, maxLength: 4 });

test('A writer writes what csv-stringify writes, in the order of the rows', () => {
  fc.assert(
    fc.property(fc.array(row, { maxLength: 12 }), (rows) => {
      fc.pre(!rows.some((fields) => fields.join() === ''));
      expect(written(rows)).toBe(stringify(rows));
    }),
    { numRuns: 5000 },
  );
  const many = Array.from({ length: 2000 }, (_, index) => [`${index}`, index % 3 === 0 ? 'a"b' : 'a']);
  expect(written([...many, ...many.filter(([, text]) => text !== 'a')])).toBe(
    stringify([...many, ...many.filter(([, text]) => text !== 'a')]),
  );
});

test('A writer leaves no blank line for a row of one empty field, which would be none to a reader', () => {
  expect(written([['A'], [''], ['b'], ['']])).toBe('A\n""\nb\n""\n');
  expect(written([['', '']])).toBe(',\n');
});

test('A writer gives every row once', () => {
  const writer = new CsvWriter();
  writer.add(['1', '"']);
  expect(writer.take().toString()).toBe('1,""""\n');
  writer.add(['2']);
  expect(writer.take().toString()).toBe('2\n');
  expect(writer.take()).toHaveLength(0);
});
