/** The work itself: `ID,Value` becomes `ID,Value,ProcessedValue`, row by row. */
import { BadRow, wrongColumnCount, wrongHeader } from './bad-row.ts';
import type { Factors } from './factors.ts';
import { quotedBytes } from './text.ts';

/** From the fields of an input row to those of the output row. Throws BadRow for a row that cannot be processed. */
export type RowTransform = (row: readonly string[]) => string[];

/** The output header. */
export const OUTPUT_HEADER: readonly string[] = ['ID', 'Value', 'ProcessedValue'];

/**
 * Appends ProcessedValue = Value × factor as the shortest text that reads back as the same number; ID and Value pass
 * unchanged. The first row must be the header. Calls must come in the order of the rows: each draws one factor.
 */
export function processedValues(factors: Factors): RowTransform {
  let hasHeader = false;
  return (row) => {
    if (!hasHeader) {
      hasHeader = true;
      return outputHeader(row);
    }
    const [id, value] = row;
    if (id === undefined || value === undefined || row.length !== 2) throw wrongColumnCount(row.length);
    return [id, value, String(numberFrom(value, 2) * factors())];
  };
}

function outputHeader(row: readonly string[]): string[] {
  if (row.length !== 2 || row[0] !== 'ID' || row[1] !== 'Value') throw wrongHeader(row);
  return [...OUTPUT_HEADER];
}

/**
 * Number() alone would take '' as 0, '0x10' as 16 and ' 1 ' as 1. The alternatives of the pattern never compete for the
 * same digits, so it stays linear on a field of 1 MiB.
 */
const DECIMAL = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/;

/** Times any factor below 1.2 this is still finite. */
const MAX_VALUE = Number.MAX_VALUE / 1.2;

/** The number in field `column`; throws BadRow unless it is a decimal number whose product with any factor is finite. */
export function numberFrom(text: string, column: number): number {
  const number = DECIMAL.test(text) ? Number(text) : Number.NaN;
  // False for NaN as well.
  if (Math.abs(number) <= MAX_VALUE) return number;
  const allowed = 'a decimal number such as 12, -0.5 or 1.5e3, of magnitude below 1.49e308';
  throw new BadRow(`got ${quotedBytes(text)}, allowed: ${allowed}`, column);
}
