/** csv-parse without its stream: rows are handed over while bytes are fed, and no row can take memory without limit. */
import { CsvError, type Options, Parser } from 'csv-parse';
import { type BadRow, badRowFromCsvError, rowTooLong } from './bad-row.ts';
import { CSV_DIALECT, ENCODING, MAX_ROW_BYTES } from './csv-dialect.ts';

/** Every field but the first takes a comma, so a row of more fields is longer than one may be. */
const MAX_ROW_FIELDS = MAX_ROW_BYTES;

/** Takes a row's fields and the bytes from where the parser began to the row's end, its line end included. */
type Take = (fields: string[], end: number) => void;

/** `feed` any number of times, then `finish` once. Both throw only what `take` throws. After a bad row it is used up. */
export class RowParser extends Parser {
  /** The fields so far of the row that has not ended yet; the typings leave it out. */
  declare readonly state: { readonly record: readonly unknown[] };
  readonly #take: Take;
  #isTooLong = false;

  constructor(take: Take, more: Options = {}) {
    super({ ...CSV_DIALECT, ...more });
    this.#take = take;
  }

  /** Returns what is wrong with the row behind the last one that was taken. The bytes may change afterwards. */
  feed(bytes: Buffer): BadRow | undefined {
    let failure: unknown;
    // csv-parse keeps the last few bytes as they are, so it gets a copy.
    super._transform(Buffer.from(bytes), ENCODING, (error) => {
      failure = error;
    });
    // csv-parse limits the bytes in a row's fields, not the number of fields.
    return this.#problem(failure, this.state.record.length);
  }

  finish(): BadRow | undefined {
    let failure: unknown;
    super._flush((error) => {
      failure = error;
    });
    return this.#problem(failure, 0);
  }

  /** Called by csv-parse with every row, and with null at the end. None is taken after one that is too long. */
  override push(row: unknown): boolean {
    if (!Array.isArray(row)) return true;
    this.#isTooLong ||= row.length > MAX_ROW_FIELDS;
    if (!this.#isTooLong) this.#take(row, this.info.bytes);
    return true;
  }

  #problem(failure: unknown, fieldCount: number): BadRow | undefined {
    const isTooLong = this.#isTooLong || fieldCount > MAX_ROW_FIELDS;
    if (failure instanceof CsvError) {
      return isTooLong || Number(failure['column']) > MAX_ROW_FIELDS
        ? rowTooLong()
        : badRowFromCsvError(failure);
    }
    if (failure !== undefined && failure !== null) throw failure;
    return isTooLong ? rowTooLong() : undefined;
  }
}
