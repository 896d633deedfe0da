/** The CSV stage: bytes of the input → batches of output rows. No IO of its own; the first bad row ends it. */
import type { TransformCallback } from 'node:stream';
import { CsvError, Parser } from 'csv-parse';
import { BadRow, BadRowAt, badRowFromCsvError, missingHeader } from './bad-row.ts';
import type { RowTransform } from './processed-value.ts';

/** Longest row in bytes: a quote that is never closed ends here instead of taking the rest of a file into memory. */
export const MAX_ROW_BYTES = 1024 * 1024;

/**
 * Text stands for bytes, one character each: delimiters and quotes are ASCII, so every encoding that extends ASCII
 * (UTF-8, Windows-1252 …) passes unchanged, invalid sequences included, and nothing is decoded for nothing. The byte
 * order mark has to be skipped before, because csv-parse switches to UTF-8 when it finds one itself.
 */
export const ROW_ENCODING = 'latin1';

/**
 * Emits one array of output rows per chunk of input: a stream of single rows costs more than all the rest together.
 * A bad row fails the stream with BadRowAt; no row after it is transformed.
 */
export class CsvRows extends Parser {
  /** Rows transformed so far, the header included. */
  rowCount = 0;
  readonly #transformRow: RowTransform;
  readonly #firstByte: number;
  /** Bytes of the file up to the end of the last row, its line end included. */
  #endOfRow: number;
  #batch: string[][] = [];
  #failure: BadRowAt | undefined;

  /** `firstByte` is where in the file the stream begins (after a byte order mark). */
  constructor(transformRow: RowTransform, firstByte: number) {
    super({
      encoding: ROW_ENCODING,
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
      if (!error && this.rowCount === 0) this.#failure ??= new BadRowAt(missingHeader(), 0);
      this.#handOver(error, done);
    });
  }

  #take(row: string[]): void {
    try {
      this.#batch.push(this.#transformRow(row));
      this.rowCount += 1;
      this.#endOfRow = this.#firstByte + this.info.bytes;
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
    const batch = this.#batch;
    this.#batch = [];
    if (batch.length > 0) super.push(batch);
    done();
  }
}
