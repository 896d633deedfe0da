/** The sequence of `../../factors.ts`, for the kernel: the same numbers for the same four words. */
let a: i32 = 0;
let b: i32 = 0;
let c: i32 = 0;
let counter: i32 = 0;

export function seedFactors(first: i32, second: i32, third: i32, fourth: i32): void {
  a = first;
  b = second;
  c = third;
  counter = fourth;
}

export function drawFactor(): f64 {
  const sum = a + b + counter;
  counter += 1;
  a = b ^ (<u32>b >>> 9);
  b = c + (c << 3);
  c = rotl(c, 21) + sum;
  return (8 + (4 * <f64>(<u32>sum)) / 4_294_967_296) / 10; // 2^32
}
