/**
 * Rows with their places, by csv-parse alone, and a way to go on after a row that is not CSV: it is given up at the end
 * of its first line, and reading begins anew with the next one. So an open quote costs one line, not the rest of the file.
 */
import { BadRow } from './bad-row.ts';
import { MAX_ROW_BYTES } from './csv-dialect.ts';
import { RowParser } from './row-parser.ts';

const LF = 10;
const CR = 13;

/** Where a row stands. */
export interface Place {
  /** Bytes of the file before the row, and perhaps before blank lines in front of it. */
  readonly offset: number;
  /** Physical line on which it begins, counted from 1. */
  readonly line: number;
  /** Its bytes without the line end, at most MAX_ROW_BYTES of them: how many came along must not depend on where blocks end. */
  readonly text: Buffer;
}

/** Takes what is read, in order. What it throws ends the reading. */
export interface RowSink {
  /** A row that is CSV. A BadRow that is thrown comes back as `bad`. */
  row(fields: string[]): void;
  bad(row: BadRow, place: Place): void;
}

/** Bytes in, rows out. `feed` any number of times, then `finish` once; both throw only what the sink throws. */
export class RowReader {
  readonly #sink: RowSink;
  #parser: RowParser;
  /** Bytes from the end of the last row on, the file offset of the first of them, and its line. */
  #pending: Buffer = Buffer.alloc(0);
  #offset: number;
  #line = 1;
  /** File offset at which the parser began. */
  #parserOffset: number;
  /** A row that is not CSV and whose line has not ended yet. */
  #broken: BadRow | undefined;
  /** The rest of an overlong line is passed over. */
  #isDropping = false;

  /** `firstByte` is where in the file the bytes begin (after a byte order mark). */
  constructor(sink: RowSink, firstByte: number) {
    this.#sink = sink;
    this.#offset = firstByte;
    this.#parserOffset = firstByte;
    this.#parser = this.#newParser();
  }

  feed(block: Buffer): void {
    this.#pending = this.#pending.length === 0 ? block : Buffer.concat([this.#pending, block]);
    if (this.#broken === undefined) this.#parse(block);
    else if (this.#passBroken(false)) this.#parse(this.#pending);
  }

  finish(): void {
    for (;;) {
      if (this.#broken === undefined) this.#broken = this.#parser.finish();
      if (this.#broken === undefined) return;
      this.#passBroken(true);
      this.#parse(this.#pending);
    }
  }

  #newParser(): RowParser {
    return new RowParser((fields, bytes) => this.#take(fields, this.#parserOffset + bytes), {
      // Rows of another length are the transform's to judge: it knows the header.
      relax_column_count: true,
    });
  }

  #parse(bytes: Buffer): void {
    for (let rest = bytes; ; rest = this.#pending) {
      this.#broken = this.#parser.feed(rest);
      // Or any number of them would be kept until a row comes.
      this.#skipBlankLines();
      if (this.#broken === undefined || !this.#passBroken(false)) return;
    }
  }

  #take(fields: string[], end: number): void {
    try {
      this.#sink.row(fields);
    } catch (error) {
      if (!(error instanceof BadRow)) throw error;
      const offset = this.#offset;
      this.#skipBlankLines();
      this.#sink.bad(error, this.#place(offset, end - this.#offset));
    }
    this.#advance(end - this.#offset);
  }

  /** True when the broken row has been reported and its line passed, so that a new parser may begin. */
  #passBroken(isEnd: boolean): boolean {
    const offset = this.#offset;
    if (!this.#isDropping) this.#skipBlankLines();
    const lineEnd = this.#pending.indexOf(LF);
    const isOverlong = this.#pending.length > MAX_ROW_BYTES;
    if (lineEnd === -1 && !isEnd && !isOverlong) return false;
    const length = lineEnd === -1 ? this.#pending.length : lineEnd + 1;
    if (!this.#isDropping && this.#broken !== undefined) {
      this.#sink.bad(this.#broken, this.#place(offset, length));
    }
    this.#advance(length);
    this.#isDropping = lineEnd === -1 && !isEnd;
    if (this.#isDropping) return false;
    this.#broken = undefined;
    this.#parserOffset = this.#offset;
    this.#parser = this.#newParser();
    return true;
  }

  #place(offset: number, length: number): Place {
    let end = length;
    if (this.#pending[end - 1] === LF) end -= 1;
    if (end < length && this.#pending[end - 1] === CR) end -= 1;
    return { offset, line: this.#line, text: this.#pending.subarray(0, Math.min(end, MAX_ROW_BYTES)) };
  }

  #skipBlankLines(): void {
    let length = 0;
    for (;;) {
      const [first, second] = [this.#pending[length], this.#pending[length + 1]];
      if (first === LF) length += 1;
      else if (first === CR && second === LF) length += 2;
      else break;
    }
    this.#advance(length);
  }

  #advance(length: number): void {
    const passed = this.#pending.subarray(0, length);
    for (let at = passed.indexOf(LF); at !== -1; at = passed.indexOf(LF, at + 1)) this.#line += 1;
    this.#pending = this.#pending.subarray(length);
    this.#offset += length;
  }
}
