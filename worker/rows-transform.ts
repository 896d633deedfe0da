/** What makes output rows of input rows, beyond the plain `ID,Value` file. */
import { BadRow, wrongColumnCount, wrongHeader } from './bad-row.ts';
import type { Factors } from './factors.ts';
import { numberFrom, OUTPUT_HEADER, type RowTransform } from './processed-value.ts';
import { quotedBytes } from './text.ts';

/**
 * From the fields of one input row to those of any number of output rows. Called in the order of the rows, first with
 * the header. Fields are bytes, one character each. Throws BadRow for a row that cannot be processed.
 */
export type RowsTransform = (row: readonly string[]) => readonly (readonly string[])[];

/** A transform that gives one row for each. */
export function oneForOne(transform: RowTransform): RowsTransform {
  return (row) => [transform(row)];
}

/** Refuses a header, and so a file, of more than `most` columns. */
export function limitColumns(transform: RowsTransform, most: number): RowsTransform {
  return (row) => {
    if (row.length <= most) return transform(row);
    throw new BadRow(`got ${row.length} columns, allowed: at most ${most}`);
  };
}

/** Which columns of the input hold ID and Value. */
export interface Columns {
  readonly id: string;
  readonly value: string;
}

/**
 * As `processedValues`, for an input whose header has these two names, in any order and among any others. The output
 * has the standard header and the standard columns; other columns are left out.
 */
export function namedColumns(columns: Columns, factors: Factors): RowTransform {
  let found: Found | undefined;
  return (row) => {
    if (found === undefined) {
      found = findColumns(row, columns);
      return [...OUTPUT_HEADER];
    }
    const [id, value] = [row[found.id], row[found.value]];
    if (id === undefined || value === undefined || row.length !== found.header.length) {
      throw wrongColumnCount(row.length, found.header);
    }
    return [id, value, String(numberFrom(value, found.value + 1) * factors())];
  };
}

interface Found {
  readonly header: readonly string[];
  readonly id: number;
  readonly value: number;
}

function findColumns(header: readonly string[], { id, value }: Columns): Found {
  const [idBytes, valueBytes] = [bytesOf(id), bytesOf(value)];
  for (const name of [idBytes, valueBytes]) {
    if (header.filter((one) => one === name).length === 1) continue;
    throw wrongHeader(header, `a header that has the column ${quotedBytes(name)} once`);
  }
  return { header, id: header.indexOf(idBytes), value: header.indexOf(valueBytes) };
}

/** Text as fields hold it: one character for each byte of its UTF-8. */
export function bytesOf(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The text in a field; throws BadRow when its bytes are not UTF-8. `column` counts from 1. */
export function textOf(bytes: string, column: number): string {
  // Most fields are ASCII, which is its own text.
  if (!/[^\0-\x7f]/.test(bytes)) return bytes;
  try {
    return UTF8.decode(Buffer.from(bytes, 'latin1'));
  } catch {
    throw new BadRow(`got ${quotedBytes(bytes)}, which is not UTF-8, allowed: UTF-8 text`, column);
  }
}
