/** What can be wrong with a row, in words for the person who has to repair the file. */
import type { CsvError } from 'csv-parse';
import { quotedBytes } from './text.ts';

/** A row that cannot be processed, before its place in the file is known. */
export class BadRow extends Error {
  /** 1-based column, undefined when the whole row is wrong. */
  readonly column: number | undefined;

  constructor(message: string, column?: number) {
    super(message);
    this.name = 'BadRow';
    this.column = column;
  }
}

/** The header of an input, unless the message or an own transform allows another. */
const INPUT_HEADER: readonly string[] = ['ID', 'Value'];

/** A bad row at a place: `offset` is the number of bytes before the row (blank lines before it may still follow). */
export class BadRowAt extends Error {
  readonly row: BadRow;
  readonly offset: number;
  readonly columnName: string | undefined;

  constructor(row: BadRow, offset: number, header?: readonly string[]) {
    super(row.message);
    this.name = 'BadRowAt';
    this.row = row;
    this.offset = offset;
    this.columnName = columnNameOf(row, header);
  }
}

/** Name of the column that is wrong, if one is and it has a name. */
export function columnNameOf({ column }: BadRow, header: readonly string[] | undefined): string | undefined {
  return column === undefined ? undefined : (header ?? INPUT_HEADER)[column - 1];
}

const CLOSING_QUOTE =
  'allowed after the closing quote of a field: a comma or the end of the line (a quote inside a quoted field is written twice)';

/** The parser's verdict on the bytes of a row, in our words: its own line numbers are not an editor's. */
export function badRowFromCsvError(error: CsvError): BadRow {
  const field = Number.isInteger(error['column']) ? Number(error['column']) + 1 : undefined;
  switch (error.code) {
    case 'CSV_RECORD_INCONSISTENT_FIELDS_LENGTH':
      return wrongColumnCount(Array.isArray(error['record']) ? error['record'].length : 0);
    case 'CSV_INVALID_CLOSING_QUOTE':
      return new BadRow(`got text after a closing quote, ${CLOSING_QUOTE}`, field);
    case 'INVALID_OPENING_QUOTE':
      return new BadRow(
        'got a quote inside an unquoted field, allowed: quotes around the whole field',
        field,
      );
    case 'CSV_QUOTE_NOT_CLOSED':
      return new BadRow(
        'got a quoted field that never ends, allowed: a closing quote before the end of the file',
        field,
      );
    case 'CSV_MAX_RECORD_SIZE':
      return rowTooLong();
    default:
      return new BadRow(`got a row that is not CSV (${error.code}), allowed: RFC 4180`);
  }
}

/** A row beyond MAX_ROW_BYTES. */
export function rowTooLong(): BadRow {
  return new BadRow(
    'got a row longer than 1 MiB (is a closing quote missing?), allowed: at most 1048576 bytes',
  );
}

/** A row with too few or too many fields. */
export function wrongColumnCount(got: number, header: readonly string[] = INPUT_HEADER): BadRow {
  const names = header === INPUT_HEADER ? ' (ID,Value)' : ', as in the header';
  return new BadRow(`got ${got} ${got === 1 ? 'field' : 'fields'}, allowed: ${header.length}${names}`);
}

/** A file without any row. */
export function missingHeader(): BadRow {
  return new BadRow('got an empty file, allowed: a header line ID,Value, then any number of rows');
}

/** A first row that is not the header. */
export function wrongHeader(got: readonly string[], allowed = 'ID,Value'): BadRow {
  return new BadRow(`got the header ${quotedBytes(got.join(','))}, allowed: ${allowed}`);
}
