import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { parse } from 'csv-parse/sync';
import * as fc from 'fast-check';
import { runCsvTask } from '../../../worker/csv-task.ts';
import { factorsFrom } from '../../../worker/factors.ts';
import { noTotals } from '../../../worker/totals.ts';
import { workspace } from './workspace.ts';

/** What a reader with the whole text in memory makes of it. */
function rowsOf(text: string): string[][] {
  return parse(text, { bom: true, record_delimiter: ['\r\n', '\n'], skip_empty_lines: true });
}

function oracle(text: string, seed: string): string[][] {
  const factors = factorsFrom(seed);
  return rowsOf(text)
    .slice(1)
    .map(([id = '', value = '']) => [id, value, String(Number(value) * factors())]);
}

const field = fc.oneof(
  fc.string({
    unit: fc.constantFrom('a', 'é', '日', '😀', ',', '"', '\n', '\r\n', '\r', ' ', ';', '\u2028'),
    maxLength: 6,
  }),
  fc.string({ unit: 'grapheme', maxLength: 8 }),
);
const value = fc.oneof(
  fc.double({ noDefaultInfinity: true, noNaN: true, min: -1e300, max: 1e300 }).map(String),
  fc.integer().map(String),
  fc.constantFrom('9.00', '+1', '.5', '5.', '1E5', '00'),
);
const lineEnd = fc.constantFrom('\n', '\r\n', '\n\n', '\r\n\r\n\n');
const row = fc.record({ id: field, value, quoteValue: fc.boolean(), quoteId: fc.boolean(), lineEnd });

function quotedIf(text: string, quote: boolean): string {
  return quote || /[",\r\n\0]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

const file = fc
  .record({
    bom: fc.boolean(),
    header: fc.constantFrom('ID,Value', '"ID","Value"'),
    headerEnd: lineEnd,
    rows: fc.array(row, { maxLength: 30 }),
  })
  .map(({ bom, header, headerEnd, rows }) => {
    const lines = rows.map(
      (one) => `${quotedIf(one.id, one.quoteId)},${quotedIf(one.value, one.quoteValue)}${one.lineEnd}`,
    );
    return `${bom ? '\ufeff' : ''}${header}${headerEnd}${lines.join('')}`;
  });

test('any well-formed file comes out as the straightforward in-memory program would write it', async () => {
  const root = await workspace();
  const location = (relative: string) => ({ root, relative, shown: relative });
  const task = { input: location('a.csv'), output: location('b.csv'), seed: 's' };
  await fc.assert(
    fc.asyncProperty(file, async (text) => {
      await writeFile(join(root, 'a.csv'), text);
      await runCsvTask(task, noTotals(), new AbortController().signal);
      const [header, ...rows] = rowsOf(await readFile(join(root, 'b.csv'), 'utf8'));
      expect(header).toEqual(['ID', 'Value', 'ProcessedValue']);
      expect(rows).toEqual(oracle(text, 's'));
    }),
    { numRuns: 300 },
  );
});
