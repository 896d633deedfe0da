/**
 * `String(number)` for bytes: the fewest digits that read back as the same double, and of those the nearest. Node spends
 * most of a row's time in `String()`, so ordinary numbers are done here.
 *
 * Every double x from 10^-4 to 10^15 is brought to 17 integer digits by a multiplication with 10^k, k <= 21. That power
 * is itself a double, so the product is *exact* as the sum of two doubles (Dekker), and so is half the distance to the
 * next double. Which digits identify x is then decided by comparing small exact numbers: nothing is ever rounded, so
 * there is no error to be bounded. What is not ordinary, or lies exactly half-way, is left to `String()`.
 */

const MINUS = 45;
const POINT = 46;
const ZERO = 48;

/** Every power of ten up to this one is a double. */
const MAX_EXACT_POWER = 22;
const POWERS_OF_TEN = Float64Array.from({ length: MAX_EXACT_POWER + 1 }, (_, power) => Number(`1e${power}`));
const POWER_HEADS = POWERS_OF_TEN.map(upperHalf);

/** What is done here rather than by String(). */
const SMALLEST = 1e-4;
const LARGEST = 1e15;

/** Exponents of the doubles in range, from 2^-14 (below 10^-4) to 2^49 (below 10^15). */
const LOWEST_EXPONENT = -14;
const EXPONENTS = Array.from({ length: 64 }, (_, index) => index + LOWEST_EXPONENT);
/** Exponent field of a double: its exponent plus 1023. */
const LOWEST_FIELD = LOWEST_EXPONENT + 1023;
/** Half the distance between neighbouring doubles. */
const HALF_GAPS = Float64Array.from(EXPONENTS, (exponent) => 2 ** (exponent - 53));
/** The power of ten that gives the smallest double of an exponent 17 digits; the largest may get 18. */
const SCALES = Uint8Array.from(EXPONENTS, (exponent) =>
  POWERS_OF_TEN.findIndex((power) => 2 ** exponent * power >= 1e16),
);

const DIGIT_COUNT = 17;
/** The digits are kept as 9 and 8, which are integers of 32 bits. */
const TAIL = 1e8;
const UNDECIDED = -TAIL;

/** Most bytes a number takes: `-1.2345678901234567e-300`. */
export const MAX_NUMBER_BYTES = 24;

/** Writes numbers as text. Each instance has scratch memory of its own. */
export class NumberText {
  readonly #bits = new DataView(new ArrayBuffer(8));
  #dropped = 0;

  /** Puts the text of a finite `number` into `output`, beginning at `at`; returns where it ends. */
  write(number: number, output: Uint8Array, at: number): number {
    if (number >= 0) return this.#writePositive(number, output, at);
    output[at] = MINUS;
    return this.#writePositive(-number, output, at + 1);
  }

  #writePositive(x: number, output: Uint8Array, at: number): number {
    if (x < SMALLEST || x >= LARGEST) return writeText(String(x), output, at);
    this.#bits.setFloat64(0, x, true);
    const upper = this.#bits.getUint32(4, true);
    // A power of two (or nearly one) has a closer neighbour below than above.
    if ((upper & 0xfffff) === 0) return writeText(String(x), output, at);
    const index = (upper >>> 20) - LOWEST_FIELD;
    const largeScale = SCALES[index]!;
    const scale = x * POWERS_OF_TEN[largeScale]! < 1e17 ? largeScale : largeScale - 1;
    const power = POWERS_OF_TEN[scale]!;
    const product = x * power;
    const head = Math.trunc(product / TAIL) | 0;
    const tail = this.#shortestTail(
      (product - head * TAIL) | 0,
      productError(x, scale, product),
      HALF_GAPS[index]! * power,
    );
    // The carry is rare enough to be String()'s.
    if (tail < 0 || tail >= TAIL || head < TAIL || head >= 10 * TAIL) return writeText(String(x), output, at);
    const before = DIGIT_COUNT - scale;
    const start = before > 0 ? at + 1 : writeLeadingZeros(-before, output, at);
    writeDigits(head, tail, output, start);
    return before > 0
      ? placePoint(output, at, before, DIGIT_COUNT - this.#dropped)
      : start + DIGIT_COUNT - this.#dropped;
  }

  /**
   * The eight last digits of `tail + error`, rounded to as few digits as still lie within `halfGap`; sets how many
   * zeros they end with. UNDECIDED when two choices are equally good.
   */
  #shortestTail(tail: number, error: number, halfGap: number): number {
    const off = (tail % 10) + error;
    const ten = off < 5 ? (off < -5 ? -10 : 0) : off < 15 ? 10 : 20;
    const distance = Math.abs(off - ten);
    if (distance > halfGap) return this.#allDigits(tail, error);
    if (distance === halfGap || distance === 5) return UNDECIDED;
    this.#dropped = 1;
    const rest = tail % 100;
    // No multiple of a hundred is near.
    if (rest > 20 && rest < 80) return tail - (rest % 10) + ten;
    return this.#dropMore(tail, error, halfGap) || tail - (rest % 10) + ten;
  }

  #allDigits(tail: number, error: number): number {
    this.#dropped = 0;
    const up = Math.floor(error + 0.5);
    return up === error + 0.5 ? UNDECIDED : tail + up;
  }

  /** `tail` as the roundest number that lies within `halfGap`, 0 if that is no multiple of a hundred. */
  #dropMore(tail: number, error: number, halfGap: number): number {
    let rounded = 0;
    for (let unit = 100; ; unit *= 10) {
      const rest = tail % unit;
      const offset = rest > unit / 2 ? rest - unit : rest;
      const distance = Math.abs(offset + error);
      if (distance > halfGap) return rounded;
      // Eight zeros are rare enough to be String()'s.
      if (distance === halfGap || unit === TAIL || tail === offset) return UNDECIDED;
      rounded = tail - offset;
      this.#dropped += 1;
    }
  }
}

/** Half of the bits of a double (Veltkamp); the other half is what remains. */
function upperHalf(x: number): number {
  const wide = x * (2 ** 27 + 1);
  return wide - (wide - x);
}

/** `x * 10^scale - product`, exactly. */
function productError(x: number, scale: number, product: number): number {
  const head = upperHalf(x);
  const rest = x - head;
  const powerHead = POWER_HEADS[scale]!;
  const powerRest = POWERS_OF_TEN[scale]! - powerHead;
  return rest * powerRest - (product - head * powerHead - rest * powerHead - head * powerRest);
}

/** `0.` and so many zeros; returns where they end. */
function writeLeadingZeros(count: number, output: Uint8Array, at: number): number {
  output[at] = ZERO;
  output[at + 1] = POINT;
  for (let index = 0; index < count; index += 1) output[at + 2 + index] = ZERO;
  return at + 2 + count;
}

/** Digits stand from `at + 1` on: moves those before the point down by one. Returns the end of the number. */
function placePoint(output: Uint8Array, at: number, before: number, significant: number): number {
  for (let index = at; index < at + before; index += 1) output[index] = output[index + 1]!;
  if (significant <= before) return at + before;
  output[at + before] = POINT;
  return at + 1 + significant;
}

/** Nine digits of `head`, then eight of `tail`. */
function writeDigits(head: number, tail: number, output: Uint8Array, at: number): void {
  const first = Math.trunc(head / TAIL) | 0;
  output[at] = ZERO + first;
  writeEight(head - first * TAIL, output, at + 1);
  writeEight(tail, output, at + 9);
}

function writeEight(digits: number, output: Uint8Array, at: number): void {
  const upper = (digits / 10_000) | 0;
  writeFour(upper, output, at);
  writeFour(digits - upper * 10_000, output, at + 4);
}

function writeFour(digits: number, output: Uint8Array, at: number): void {
  const upper = (digits / 100) | 0;
  writeTwo(upper, output, at);
  writeTwo(digits - upper * 100, output, at + 2);
}

function writeTwo(digits: number, output: Uint8Array, at: number): void {
  const upper = (digits / 10) | 0;
  output[at] = ZERO + upper;
  output[at + 1] = ZERO + digits - upper * 10;
}

function writeText(text: string, output: Uint8Array, at: number): number {
  for (let index = 0; index < text.length; index += 1) output[at + index] = text.charCodeAt(index);
  return at + text.length;
}
