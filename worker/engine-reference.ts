/** The reference: csv-parse and csv-stringify decide what a row is, what is wrong with it, and how it is written. */
import { BadRow, BadRowAt, missingHeader } from './bad-row.ts';
import { CsvWriter } from './csv-writer.ts';
import type { Block, Engine, Transformed } from './engine.ts';
import type { RowTransform } from './processed-value.ts';
import { RowParser } from './row-parser.ts';

/** Bytes given to csv-parse at once: more brings nothing and makes each batch of rows more garbage. */
const SLICE_BYTES = 64 * 1024;

/**
 * Rows from anywhere in the file, fed in pieces. Not used as a stream: a stream of single rows costs more than all the
 * rest together.
 */
export class ReferenceRows {
  /** Rows transformed so far; the header is one of them. */
  rowCount = 0;
  /** Bytes of the file up to the end of the last row, its line end included. */
  endOfRow: number;
  readonly #parser: RowParser;
  readonly #transformRow: RowTransform;
  readonly #firstByte: number;
  readonly #writer = new CsvWriter();
  #failure: BadRowAt | undefined;

  /** `firstByte` is where in the file the rows begin. */
  constructor(transformRow: RowTransform, firstByte: number) {
    this.#parser = new RowParser((row, end) => this.#take(row, end));
    this.#transformRow = transformRow;
    this.#firstByte = firstByte;
    this.endOfRow = firstByte;
  }

  /** Takes the next bytes, which may change afterwards. Throws BadRowAt for the first bad row; none after it is transformed. */
  feed(bytes: Buffer): void {
    this.#check(this.#parser.feed(bytes));
  }

  /** Tells that no bytes follow. Throws like `feed`. */
  finish(): void {
    this.#check(this.#parser.finish());
  }

  /** The text of all rows since the last time. */
  takeText(): Buffer {
    return this.#writer.take();
  }

  #take(row: string[], end: number): void {
    if (this.#failure !== undefined) return;
    try {
      this.#writer.add(this.#transformRow(row));
      this.rowCount += 1;
      this.endOfRow = this.#firstByte + end;
    } catch (error) {
      if (!(error instanceof BadRow)) throw error;
      this.#failure = new BadRowAt(error, this.endOfRow);
    }
  }

  /** A row we refused comes before whatever csv-parse met later in the same piece. */
  #check(badRow: BadRow | undefined): void {
    if (badRow !== undefined) this.#failure ??= new BadRowAt(badRow, this.endOfRow);
    if (this.#failure !== undefined) throw this.#failure;
  }
}

/** The reference for a whole file. */
export class ReferenceEngine implements Engine {
  readonly #rows: ReferenceRows;

  /** `firstByte` is where in the file the first block begins (after a byte order mark). */
  constructor(transformRow: RowTransform, firstByte: number) {
    this.#rows = new ReferenceRows(transformRow, firstByte);
  }

  get rowCount(): number {
    return this.#rows.rowCount - 1;
  }

  transform({ bytes, from, to, isLast }: Block): Transformed {
    for (let at = from; at < to; at += SLICE_BYTES) {
      this.#rows.feed(bytes.subarray(at, Math.min(to, at + SLICE_BYTES)));
    }
    if (isLast) {
      this.#rows.finish();
      assertHeaderMet(this.rowCount);
    }
    return { usedTo: to, output: this.#rows.takeText() };
  }
}

/** Throws BadRowAt for a file that ended before its header. */
export function assertHeaderMet(rowCount: number): void {
  if (rowCount === -1) throw new BadRowAt(missingHeader(), 0);
}
