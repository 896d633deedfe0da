/**
 * The engine for messages that ask for more than the plain file: bad rows set aside, other columns, an own transform.
 * Built on csv-parse and csv-stringify alone. No IO of its own.
 */
import { type BadRow, BadRowAt, columnNameOf, missingHeader } from './bad-row.ts';
import { ENCODING } from './csv-dialect.ts';
import { CsvWriter } from './csv-writer.ts';
import { type Place, RowReader } from './row-reader.ts';
import { bytesOf, type RowsTransform } from './rows-transform.ts';
import type { Totals } from './totals.ts';

const REJECTED_HEADER = ['Line', 'Column', 'Reason', 'Row'];

/** Blocks of the two files. */
export interface Blocks {
  readonly output: Buffer;
  /** Bad rows as CSV: line, column, reason, the row as it stood in the input. Empty unless bad rows are set aside. */
  readonly rejected: Buffer;
}

export interface RowEngineOptions {
  readonly transform: RowsTransform;
  /** True: bad rows are set aside. False: the first one is thrown as BadRowAt. A bad header is always thrown. */
  readonly setsAside: boolean;
  /** Where in the file the bytes begin (after a byte order mark). */
  readonly firstByte: number;
  /** Gets the counts of rows. */
  readonly totals: Totals;
}

/** `feed` any number of times, then `finish` once. Memory does not grow with the file. */
export class RowEngine {
  readonly #options: RowEngineOptions;
  readonly #reader: RowReader;
  #header: readonly string[] | undefined;
  readonly #rows = new CsvWriter();
  readonly #rejected = new CsvWriter();

  constructor(options: RowEngineOptions) {
    this.#options = options;
    if (options.setsAside) this.#rejected.add(REJECTED_HEADER);
    const sink = {
      row: (fields: string[]) => this.#take(fields),
      bad: (row: BadRow, place: Place) => this.#refuse(row, place),
    };
    this.#reader = new RowReader(sink, options.firstByte);
  }

  feed(block: Buffer): Blocks {
    this.#reader.feed(block);
    return this.#blocks();
  }

  finish(): Blocks {
    this.#reader.finish();
    if (this.#header === undefined) throw new BadRowAt(missingHeader(), 0);
    return this.#blocks();
  }

  #take(fields: string[]): void {
    const rows = this.#options.transform(fields);
    for (const row of rows) this.#rows.add(row);
    if (this.#header === undefined) {
      this.#header = fields;
      return;
    }
    this.#options.totals.rowsIn += 1;
    this.#options.totals.rowsOut += rows.length;
  }

  #refuse(row: BadRow, place: Place): void {
    if (!this.#options.setsAside || this.#header === undefined) {
      throw new BadRowAt(row, place.offset, this.#header);
    }
    this.#options.totals.rowsIn += 1;
    this.#options.totals.rowsRejected += 1;
    const column = columnNameOf(row, this.#header) ?? (row.column === undefined ? '' : String(row.column));
    this.#rejected.add([String(place.line), column, bytesOf(row.message), place.text.toString(ENCODING)]);
  }

  #blocks(): Blocks {
    return { output: this.#rows.take(), rejected: this.#rejected.take() };
  }
}
