/** Input files of the benchmark: the same bytes for the same name and number of rows. */
import { createWriteStream } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

/** Which rows have a quoted ID: with a comma, a quote or a line end inside, in turn. */
export type Quoting = 'none' | '5 %' | 'all';

/** Writes `rowCount` rows with values of one or two decimals below 1000. */
export async function writeInput(path: string, rowCount: number, quoting: Quoting): Promise<void> {
  await pipeline(Readable.from(blocks(rowCount, quoting)), createWriteStream(path));
}

function* blocks(rowCount: number, quoting: Quoting): Generator<string> {
  let block = 'ID,Value\n';
  let state = 1;
  for (let row = 1; row <= rowCount; row += 1) {
    // A linear congruence with a full period (Numerical Recipes): the values only have to be various.
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    block += `${rowText(row, (state >>> 8) % 100_000, quoting)}\n`;
    if (block.length > 65_536) {
      yield block;
      block = '';
    }
  }
  yield block;
}

function rowText(row: number, cents: number, quoting: Quoting): string {
  if (quoting === 'all') return `"${row}","${cents / 100}"`;
  if (quoting === 'none' || row % 20 !== 0) return `${row},${cents / 100}`;
  return `"${row}${[', a', ' ""a""', '\na'][(row / 20) % 3]}",${cents / 100}`;
}
