/**
 * One pass over the bytes of ordinary rows, copied to the output while they are recognised; `../byte-kernel.ts` says
 * which those are. This folder is AssemblyScript, which is TypeScript with the numbers of WebAssembly, compiled by
 * `npm run generate:kernel`. `load` and `store` take an address and know no bounds but those of the whole memory: the
 * host answers for the room that `run` asks for.
 */
import { drawFactor, seedFactors } from './factors';
import { readNumberByHost } from './host';
import { MAX_POWER, powerOfTen, writeNumber } from './number-text';

export { drawFactor, seedFactors, writeNumber };

const LF: u32 = 10;
const CR: u32 = 13;
const QUOTE: u32 = 34;
const COMMA: u32 = 44;
const MINUS: u32 = 45;
const POINT: u32 = 46;
const ZERO: u32 = 48;

/** So many digits fit 64 bits; so many are far below the largest Value that is allowed (1.49e308). */
const MAX_INTEGER_DIGITS: i32 = 19;
const MAX_DIGITS: i32 = 300;
/** Integers up to this one are doubles. */
const MAX_EXACT_INTEGER: u64 = 1 << 53;

/** Rows that `run` recognised; the end of the last one and the blank lines after it; the end of what it wrote. */
export let rowCount: i32 = 0;
export let inputEnd: i32 = 0;
export let outputEnd: i32 = 0;

/** Where the row being read ends in the output so far, and its Value. */
let written: i32 = 0;
let value: f64 = 0;

/** Why `run` ended: the input did, possibly inside a row; or the next row is not an ordinary one. */
const END: i32 = 0;
const ODD: i32 = 1;

/**
 * Recognises rows from `from` up to `limit`, where a quote must stand, and writes them at `output`, where there must be
 * room for all of them.
 */
export function run(from: i32, limit: i32, output: i32): i32 {
  rowCount = 0;
  inputEnd = from;
  outputEnd = output;
  while (true) {
    inputEnd = afterBlankLines(inputEnd);
    written = outputEnd;
    const end = readRow(inputEnd, limit);
    if (end < 0) return ~end >= limit ? END : ODD;
    store<u8>(written, COMMA);
    const textEnd = writeNumber(value * drawFactor(), written + 1);
    store<u8>(textEnd, LF);
    outputEnd = textEnd + 1;
    inputEnd = end;
    rowCount += 1;
  }
}

function afterBlankLines(start: i32): i32 {
  let at = start;
  while (true) {
    if (load<u8>(at) == LF) at += 1;
    else if (load<u8>(at) == CR && load<u8>(at + 1) == LF) at += 2;
    else return at;
  }
}

// The functions below take the address of a field and return the one behind it, or ~address of what no ordinary row has.

function readRow(start: i32, limit: i32): i32 {
  const field = load<u8>(start) == QUOTE ? quotedId(start, limit) : plainId(start);
  return field < 0 ? field : valueAndLineEnd(field, limit);
}

function plainId(start: i32): i32 {
  let at = start;
  let to = written;
  while (true) {
    const byte: u32 = load<u8>(at);
    store<u8>(to, byte);
    at += 1;
    to += 1;
    // Letters and digits: all that matters comes before them.
    if (byte > COMMA) continue;
    if (byte == QUOTE || byte == LF || byte == CR) return ~(at - 1);
    if (byte == COMMA) break;
  }
  written = to;
  return at;
}

/** Looked through before it is copied, because only the end tells whether the quotes stay. */
function quotedId(start: i32, limit: i32): i32 {
  if (start >= limit) return ~start;
  let needsQuotes = false;
  let at = start + 1;
  for (; ; at += 1) {
    const byte: u32 = load<u8>(at);
    if (byte > COMMA) continue;
    if (byte == QUOTE) {
      if (at + 1 >= limit) return ~limit;
      if (load<u8>(at + 1) != QUOTE) break;
      at += 1;
      needsQuotes = true;
    } else if (byte == COMMA || byte == LF || byte == CR) needsQuotes = true;
  }
  if (load<u8>(at + 1) != COMMA) return ~(at + 1);
  if (needsQuotes) copy(start, at + 1);
  else copy(start + 1, at);
  store<u8>(written, COMMA);
  written += 1;
  return at + 2;
}

function copy(from: i32, to: i32): void {
  let target = written;
  for (let at = from; at < to; at += 1) {
    store<u8>(target, load<u8>(at));
    target += 1;
  }
  written = target;
}

function valueAndLineEnd(start: i32, limit: i32): i32 {
  const isQuoted = load<u8>(start) == QUOTE;
  if (isQuoted && start >= limit) return ~start;
  let at = decimal(isQuoted ? start + 1 : start);
  if (at < 0) return at;
  if (isQuoted) {
    if (load<u8>(at) != QUOTE || at >= limit) return ~at;
    at += 1;
  }
  if (load<u8>(at) == CR) at += 1;
  return load<u8>(at) == LF ? at + 1 : ~at;
}

/** Digits read so far, as an integer; it wraps around beyond 19 of them. */
let integer: u64 = 0;

function decimal(start: i32): i32 {
  const isNegative = load<u8>(start) == MINUS;
  const whole = isNegative ? start + 1 : start;
  integer = 0;
  const wholeEnd = digits(whole);
  if (wholeEnd == whole) return ~whole;
  let end = wholeEnd;
  if (load<u8>(wholeEnd) == POINT) {
    end = digits(wholeEnd + 1);
    if (end == wholeEnd + 1) return ~end;
  }
  if (end - whole > MAX_DIGITS) return ~end;
  const size = magnitude(whole, end, end == wholeEnd ? 0 : end - wholeEnd - 1);
  value = isNegative ? -size : size;
  copy(start, end);
  return end;
}

/** Reads on where `integer` stands. */
function digits(start: i32): i32 {
  let sum = integer;
  let at = start;
  for (; ; at += 1) {
    const digit = <u32>load<u8>(at) - ZERO;
    if (digit > 9) break;
    sum = 10 * sum + digit;
  }
  integer = sum;
  return at;
}

/** The number between two addresses, with `decimals` digits behind the point: a division of two doubles is exact enough. */
function magnitude(from: i32, to: i32, decimals: i32): f64 {
  const isExact = to - from <= MAX_INTEGER_DIGITS && integer <= MAX_EXACT_INTEGER && decimals <= MAX_POWER;
  return isExact ? <f64>integer / powerOfTen(decimals) : readNumberByHost(from, to);
}
