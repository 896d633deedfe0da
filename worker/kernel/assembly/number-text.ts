/**
 * `String(number)` in bytes: the fewest digits that read back as the same double, and of those the nearest.
 *
 * A double x from 10^-4 to 10^15 is brought to 17 digits before the point by a multiplication with 10^k, k <= 22. That
 * power is itself a double, so the product is *exact* as the sum of two doubles (Dekker), and so is half the distance
 * to the neighbouring doubles. Which digits identify x is then decided by comparing small exact numbers: nothing is
 * rounded, so there is no error to be bounded. What is not ordinary, or lies exactly half-way, is the host's to write.
 */
import { writeNumberByHost } from './host';

const MINUS: u32 = 45;
const POINT: u32 = 46;
const ZERO: u32 = 48;

/** Powers of ten that are doubles. */
const POWERS_OF_TEN = memory.data<f64>([
  1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19,
  1e20, 1e21, 1e22,
]);
export const MAX_POWER: i32 = 22;

/** 10^power, for a power from 0 to MAX_POWER. */
export function powerOfTen(power: i32): f64 {
  return load<f64>(POWERS_OF_TEN + (power << 3));
}

/** What is ordinary; beyond it String() writes exponents, or zeros that stand for no digits. */
const SMALLEST: f64 = 1e-4;
const LARGEST: f64 = 1e15;

const DIGIT_COUNT: i32 = 17;
const LEAST_DIGITS: i64 = 10_000_000_000_000_000;
const TEN_TO_EIGHT: u32 = 100_000_000;

const FRACTION_BITS: u64 = 52;
const FRACTION_MASK: u64 = 0x000f_ffff_ffff_ffff;
const EXPONENT_BIAS: i32 = 1023;

/** Puts the text of a finite number at `at`, where 24 bytes must be free, and returns where it ends. */
export function writeNumber(number: f64, at: i32): i32 {
  if (number >= 0) return writePositive(number, at);
  store<u8>(at, MINUS);
  return writePositive(-number, at + 1);
}

function writePositive(x: f64, at: i32): i32 {
  const bits = reinterpret<u64>(x);
  // A power of two has a closer neighbour below than above.
  if (!(x >= SMALLEST && x < LARGEST) || (bits & FRACTION_MASK) == 0) return writeNumberByHost(x, at);
  const scale = scaleOf(x, <i32>(bits >> FRACTION_BITS) - EXPONENT_BIAS);
  const power = powerOfTen(scale);
  const product = x * power;
  // Half the distance to the neighbours: 2^-53 of the power of two below x.
  const halfGap = reinterpret<f64>(((bits >> FRACTION_BITS) - 53) << FRACTION_BITS) * power;
  const digits = shortest(<i64>product, errorOf(x, power, product), halfGap);
  if (digits < LEAST_DIGITS || digits >= 10 * LEAST_DIGITS) return writeNumberByHost(x, at);
  return writeDigits(digits, DIGIT_COUNT - droppedDigits, DIGIT_COUNT - scale, at);
}

/** The power of ten that gives `x`, which is at least 2^exponent and below twice that, 17 digits before the point. */
function scaleOf(x: f64, exponent: i32): i32 {
  // Less the exponent times log10(2), rounded down.
  const scale = DIGIT_COUNT - 1 - ((exponent * 78_913) >> 18);
  return scale - i32(x * powerOfTen(scale) >= 1e17);
}

/** `x × power - product`, exactly (Dekker). */
function errorOf(x: f64, power: f64, product: f64): f64 {
  const head = upperHalf(x);
  const rest = x - head;
  const powerHead = upperHalf(power);
  const powerRest = power - powerHead;
  return rest * powerRest - (product - head * powerHead - rest * powerHead - head * powerRest);
}

/** Half of the bits of a double (Veltkamp); the other half is what remains. */
function upperHalf(x: f64): f64 {
  const wide = x * 134_217_729; // 2^27 + 1
  return wide - (wide - x);
}

/** How many zeros at the end of what `shortest` found are none of the number's digits. */
let droppedDigits: i32 = 0;

/** What `shortest` returns when two choices are equally good. */
const UNDECIDED: i64 = 0;

/** `whole + error` as the roundest of the numbers that lie within `halfGap`, and of those the nearest. */
function shortest(whole: i64, error: f64, halfGap: f64): i64 {
  const lastTwo = <i32>(whole % 100);
  const hundreds = <f64>lastTwo + error;
  if (abs(hundreds - 100 * nearest(hundreds * 0.01)) <= halfGap) return roundest(whole, error, halfGap);
  const lastDigit = lastTwo % 10;
  const tens = <f64>lastDigit + error;
  const ten = 10 * nearest(tens * 0.1);
  const distance = abs(tens - ten);
  const one = nearest(error);
  // A product that was rounded the wrong way leaves a distance beyond 5.
  if (distance == halfGap || distance >= 5 || abs(error - one) == 0.5) return UNDECIDED;
  const isShorter = distance < halfGap;
  droppedDigits = i32(isShorter);
  return whole + (isShorter ? <i32>ten - lastDigit : <i32>one);
}

/** The same, when a multiple of a hundred lies that near. */
function roundest(whole: i64, error: f64, halfGap: f64): i64 {
  let found = UNDECIDED;
  droppedDigits = 1;
  for (let unit: i64 = 100; unit < LEAST_DIGITS; unit *= 10) {
    const below = whole % unit;
    const offset = below > unit / 2 ? <f64>below - <f64>unit : <f64>below;
    const distance = abs(offset + error);
    if (distance == halfGap) return UNDECIDED;
    if (distance > halfGap) return found;
    found = whole - <i64>offset;
    droppedDigits += 1;
  }
  return UNDECIDED;
}

/** The first `count` of 17 digits, of which `before` stand before the point; none if it is not positive. */
function writeDigits(digits: i64, count: i32, before: i32, at: i32): i32 {
  if (before <= 0) {
    const start = writeLeadingZeros(-before, at);
    writeAll(digits, start);
    return start + count;
  }
  writeAll(digits, at + 1);
  // Those before the point go down by one, which makes room for it.
  const point = at + before;
  for (let to = at; to < point; to += 1) store<u8>(to, load<u8>(to + 1));
  if (count <= before) return point;
  store<u8>(point, POINT);
  return at + 1 + count;
}

/** `0.` and so many zeros; returns where they end. */
function writeLeadingZeros(count: i32, at: i32): i32 {
  store<u8>(at, ZERO);
  store<u8>(at + 1, POINT);
  const end = at + 2 + count;
  for (let to = at + 2; to < end; to += 1) store<u8>(to, ZERO);
  return end;
}

/** 17 digits: one, eight and eight. */
function writeAll(digits: i64, at: i32): void {
  const upper = <u32>(digits / TEN_TO_EIGHT);
  const lower = <u32>digits - TEN_TO_EIGHT * upper;
  const first = upper / TEN_TO_EIGHT;
  store<u8>(at, ZERO + first);
  store<u64>(at + 1, eightDigits(upper - TEN_TO_EIGHT * first));
  store<u64>(at + 9, eightDigits(lower));
}

/**
 * A number below 10^8 as eight digits in a row of eight bytes, the first in the lowest. The row is cut in halves three
 * times; in each cut all pieces at once are divided, by a multiplication that is exact for numbers of their size.
 */
function eightDigits(number: u32): u64 {
  const fours = halves(number / 10_000, number % 10_000, 32);
  const hundreds = ((fours * 10_486) >> 20) & 0x0000_007f_0000_007f;
  const twos = halves(hundreds, fours - 100 * hundreds, 16);
  const tens = ((twos * 103) >> 10) & 0x000f_000f_000f_000f;
  const ones = halves(tens, twos - 10 * tens, 8);
  return ones | 0x3030_3030_3030_3030;
}

/** Each upper part below its lower part, which is `distance` bits higher. */
function halves(upper: u64, lower: u64, distance: u64): u64 {
  return upper | (lower << distance);
}
