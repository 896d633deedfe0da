/**
 * The byte kernel: one pass over the bytes of ordinary rows, copied to the output while they are recognised. It never
 * guesses: at the first byte that no ordinary row has in that place it stops in front of the row, for the reference to
 * decide. An ordinary row is
 *
 *   ID,Value<line end>   ID: bytes without comma, quote, CR or LF; or quoted, with "" for a quote
 *                        Value: 12, -0.5, quoted or not
 *                        line end: LF or CRLF; any number of blank lines before the row
 *
 * What it writes for them is what the reference would: quotes only where they are needed, LF at the end.
 */
import type { Factors } from '../factors.ts';
import { MAX_NUMBER_BYTES, NumberText } from './number-text.ts';

const LF = 10;
const CR = 13;
const QUOTE = 34;
const COMMA = 44;
const MINUS = 45;
const POINT = 46;
const ZERO = 48;
const NINE = 57;

/** Integers below 10^15 and powers of ten up to 10^22 are doubles, so one division gives the double nearest to the text. */
const MAX_EXACT_DIGITS = 15;
const POWERS_OF_TEN = Float64Array.from({ length: MAX_EXACT_DIGITS + 1 }, (_, power) => 10 ** power);
/** So many digits stay far below the largest Value that is allowed (1.49e308). */
const MAX_DIGITS = 300;

/** The shortest row is `,1` and LF; every row grows by at most a comma and a number. */
const MIN_ROW_BYTES = 3;
const MAX_GROWTH_BYTES = 1 + MAX_NUMBER_BYTES;

/** The byte that must stand behind the last one of the input: every loop ends there. */
export const SENTINEL = QUOTE;

/** Why the kernel stopped: the input ends, possibly inside a row; or the next row is not an ordinary one. */
export type Stop = 'end' | 'odd';

/** The most bytes that ordinary rows of so many bytes can become. */
export function maxOutputBytes(inputBytes: number): number {
  return inputBytes + MAX_GROWTH_BYTES * Math.ceil(inputBytes / MIN_ROW_BYTES);
}

/** Reads from one buffer and writes to another; `inputEnd` and `outputEnd` say how far it came. */
export class ByteKernel {
  /** Rows recognised so far. */
  rowCount = 0;
  /** End of the last recognised row and the blank lines after it. */
  inputEnd = 0;
  outputEnd = 0;
  readonly #factors: Factors;
  readonly #numberText = new NumberText();
  #input: Buffer = Buffer.alloc(0);
  #limit = 0;
  #output: Buffer = Buffer.alloc(0);
  /** Where the row being read ends in the output so far. */
  #written = 0;
  #mantissa = 0;
  #value = 0;

  /** Draws one factor for every row it recognises. */
  constructor(factors: Factors) {
    this.#factors = factors;
  }

  /**
   * Recognises rows between `inputEnd` and `limit`, where SENTINEL must stand, and writes them at `outputEnd`, where
   * `maxOutputBytes` must be free.
   */
  run(input: Buffer, limit: number, output: Buffer): Stop {
    this.#input = input;
    this.#limit = limit;
    this.#output = output;
    for (;;) {
      const start = this.#afterBlankLines(this.inputEnd);
      this.inputEnd = start;
      this.#written = this.outputEnd;
      const value = input[start] === QUOTE ? this.#quotedId(start) : this.#plainId(start);
      const end = value < 0 ? value : this.#valueAndLineEnd(value);
      if (end < 0) return ~end >= limit ? 'end' : 'odd';
      output[this.#written] = COMMA;
      const textEnd = this.#numberText.write(this.#value * this.#factors(), output, this.#written + 1);
      output[textEnd] = LF;
      this.outputEnd = textEnd + 1;
      this.inputEnd = end;
      this.rowCount += 1;
    }
  }

  // The methods below take the index of a field and return the index behind it, or ~index of what no ordinary row has.

  #afterBlankLines(start: number): number {
    const input = this.#input;
    for (let at = start; ; ) {
      if (input[at] === LF) at += 1;
      else if (input[at] === CR && input[at + 1] === LF) at += 2;
      else return at;
    }
  }

  #plainId(start: number): number {
    const input = this.#input;
    const output = this.#output;
    let written = this.#written;
    for (let at = start; ; at += 1) {
      const byte = input[at]!;
      if (byte === QUOTE || byte === LF || byte === CR) return ~at;
      output[written] = byte;
      written += 1;
      if (byte === COMMA) {
        this.#written = written;
        return at + 1;
      }
    }
  }

  /** Looked through before it is copied, because only the end tells whether the quotes stay. */
  #quotedId(start: number): number {
    const input = this.#input;
    if (start >= this.#limit) return ~start;
    let needsQuotes = false;
    let at = start + 1;
    for (; ; at += 1) {
      const byte = input[at];
      if (byte === QUOTE) {
        if (at + 1 >= this.#limit) return ~this.#limit;
        if (input[at + 1] !== QUOTE) break;
        at += 1;
        needsQuotes = true;
      } else if (byte === COMMA || byte === LF || byte === CR) needsQuotes = true;
    }
    if (input[at + 1] !== COMMA) return ~(at + 1);
    this.#copy(needsQuotes ? start : start + 1, needsQuotes ? at + 1 : at);
    this.#output[this.#written] = COMMA;
    this.#written += 1;
    return at + 2;
  }

  #copy(start: number, end: number): void {
    const input = this.#input;
    const output = this.#output;
    let written = this.#written;
    for (let at = start; at < end; at += 1) {
      output[written] = input[at]!;
      written += 1;
    }
    this.#written = written;
  }

  #valueAndLineEnd(start: number): number {
    const input = this.#input;
    const isQuoted = input[start] === QUOTE;
    if (isQuoted && start >= this.#limit) return ~start;
    const end = this.#decimal(isQuoted ? start + 1 : start);
    if (end < 0) return end;
    let at = end;
    if (isQuoted) {
      if (input[at] !== QUOTE || at >= this.#limit) return ~at;
      at += 1;
    }
    if (input[at] === CR) at += 1;
    return input[at] === LF ? at + 1 : ~at;
  }

  #decimal(start: number): number {
    const input = this.#input;
    const isNegative = input[start] === MINUS;
    const whole = isNegative ? start + 1 : start;
    this.#mantissa = 0;
    const wholeEnd = this.#digits(whole);
    if (wholeEnd === whole) return ~whole;
    let end = wholeEnd;
    if (input[wholeEnd] === POINT) {
      end = this.#digits(wholeEnd + 1);
      if (end === wholeEnd + 1) return ~end;
    }
    if (end - whole > MAX_DIGITS) return ~end;
    const size =
      end - whole <= MAX_EXACT_DIGITS
        ? this.#mantissa / POWERS_OF_TEN[end === wholeEnd ? 0 : end - wholeEnd - 1]!
        : Number(input.toString('latin1', whole, end));
    this.#value = isNegative ? -size : size;
    this.#copy(start, end);
    return end;
  }

  /** Reads on where the mantissa stands; beyond 15 digits it is no longer exact. */
  #digits(start: number): number {
    const input = this.#input;
    let mantissa = this.#mantissa;
    let at = start;
    for (; ; at += 1) {
      const byte = input[at]!;
      if (byte < ZERO || byte > NINE) break;
      mantissa = mantissa * 10 + (byte - ZERO);
    }
    this.#mantissa = mantissa;
    return at;
  }
}
