/** The CSV stage: bytes of the input → bytes of the output. No IO of its own; the first bad row ends it. */
import type { TransformCallback } from 'node:stream';
import { CsvError, Parser } from 'csv-parse';
import { stringify } from 'csv-stringify/sync';
import { BadRow, BadRowAt, badRowFromCsvError, missingHeader } from './bad-row.ts';
import type { RowTransform } from './processed-value.ts';

/** Longest row in bytes: a quote that is never closed ends here instead of taking the rest of a file into memory. */
const MAX_ROW_BYTES = 1024 * 1024;

/**
 * Text stands for bytes, one character each: delimiters and quotes are ASCII, so every encoding that extends ASCII
 * (UTF-8, Windows-1252 …) passes unchanged, invalid sequences included, and nothing is decoded for nothing. The byte
 * order mark has to be skipped before, because csv-parse switches to UTF-8 when it finds one itself.
 */
const ENCODING = 'latin1';

/**
 * Rows that become text at once. Few enough that the garbage collector's young generation holds them all, which is
 * what makes a small heap as fast as a large one; enough that the cost of a call does not count.
 */
const ROWS_PER_TEXT = 256;

/**
 * Emits one block of CSV per chunk of input: a stream of single rows costs more than all the rest together. LF ends
 * the lines, quotes stand only where they are needed. A bad row fails the stream with BadRowAt; nothing of its chunk is
 * emitted and no row after it is transformed.
 */
export class CsvStage extends Parser {
  /** Rows transformed so far, without the header; -1 before it was met. */
  rowCount = -1;
  readonly #transformRow: RowTransform;
  readonly #firstByte: number;
  /** Bytes of the file up to the end of the last row, its line end included. */
  #endOfRow: number;
  #rows: string[][] = [];
  #texts: Buffer[] = [];
  #failure: BadRowAt | undefined;

  /** `firstByte` is where in the file the stream begins (after a byte order mark). */
  constructor(transformRow: RowTransform, firstByte: number) {
    super({
      encoding: ENCODING,
      // Given, not discovered: csv-parse would take the first line's ending as the only one.
      record_delimiter: ['\r\n', '\n'],
      skip_empty_lines: true,
      max_record_size: MAX_ROW_BYTES,
    });
    this.#transformRow = transformRow;
    this.#firstByte = firstByte;
    this.#endOfRow = firstByte;
  }

  /** Called by csv-parse with every row, and with null at the end. */
  override push(row: unknown): boolean {
    if (row === null) return super.push(null);
    if (this.#failure === undefined && Array.isArray(row)) this.#take(row);
    return true;
  }

  override _transform(chunk: unknown, encoding: BufferEncoding, done: TransformCallback): void {
    super._transform(chunk, encoding, (error) => this.#handOver(error, done));
  }

  override _flush(done: TransformCallback): void {
    super._flush((error) => {
      if (!error && this.rowCount === -1) this.#failure ??= new BadRowAt(missingHeader(), 0);
      this.#handOver(error, done);
    });
  }

  #take(row: string[]): void {
    try {
      this.#rows.push(this.#transformRow(row));
      this.rowCount += 1;
      this.#endOfRow = this.#firstByte + this.info.bytes;
      if (this.#rows.length === ROWS_PER_TEXT) this.#writeRows();
    } catch (error) {
      if (!(error instanceof BadRow)) throw error;
      this.#failure = new BadRowAt(error, this.#endOfRow);
    }
  }

  /** A row we refused comes before whatever csv-parse met later in the same chunk. */
  #handOver(error: Error | null | undefined, done: TransformCallback): void {
    if (error instanceof CsvError) this.#failure ??= new BadRowAt(badRowFromCsvError(error), this.#endOfRow);
    const failure = this.#failure ?? error;
    if (failure) return done(failure);
    this.#writeRows();
    if (this.#texts.length > 0) super.push(Buffer.concat(this.#texts));
    this.#texts = [];
    done();
  }

  #writeRows(): void {
    if (this.#rows.length === 0) return;
    this.#texts.push(Buffer.from(stringify(this.#rows), ENCODING));
    this.#rows = [];
  }
}
