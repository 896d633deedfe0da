/** Rows as the bytes of CSV: LF ends a line, quotes stand only where they are needed. */
import { stringify } from 'csv-stringify/sync';
import { ENCODING } from './csv-dialect.ts';

/**
 * What a field may hold that csv-stringify would put quotes around. A row without any of it is its fields and commas,
 * which needs no library and costs a tenth.
 */
const SPECIAL = /[",\r\n]/;

/** Text that becomes bytes at once: little enough that the garbage collector's young generation holds it. */
const MAX_TEXT_LENGTH = 32 * 1024;
const MAX_SPECIAL_ROWS = 256;

/** `add` any number of rows, `take` what they have become since the last time. */
export class CsvWriter {
  #text = '';
  /** Rows for csv-stringify, which follow the text. */
  #special: (readonly string[])[] = [];
  #blocks: Buffer[] = [];

  /** Every character of a field stands for one byte. */
  add(row: readonly string[]): void {
    if (row.some((field) => SPECIAL.test(field))) this.#special.push(row);
    else this.#addPlain(row);
    if (this.#text.length > MAX_TEXT_LENGTH || this.#special.length === MAX_SPECIAL_ROWS) this.#makeBlock();
  }

  take(): Buffer {
    this.#makeBlock();
    const bytes = Buffer.concat(this.#blocks);
    this.#blocks = [];
    return bytes;
  }

  #addPlain(row: readonly string[]): void {
    this.#addSpecial();
    const line = row.join(',');
    // A blank line would be no row to whoever reads it.
    this.#text += line === '' ? '""\n' : `${line}\n`;
  }

  #addSpecial(): void {
    if (this.#special.length === 0) return;
    this.#text += stringify([...this.#special]);
    this.#special = [];
  }

  #makeBlock(): void {
    this.#addSpecial();
    if (this.#text === '') return;
    this.#blocks.push(Buffer.from(this.#text, ENCODING));
    this.#text = '';
  }
}
