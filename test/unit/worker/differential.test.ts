import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { ByteKernel } from '../../../worker/kernel/byte-kernel.ts';
import { csvCase, verdictOn } from '../../support/differential-csv.ts';
import { randomDoubles } from '../../support/random-doubles.ts';

const CASES = 5000;

describe('The kernel and the reference', () => {
  test(`agree on ${CASES} generated files: same bytes, same refusals, same lines, wherever blocks end`, () => {
    let refused = 0;
    for (let index = 0; index < CASES; index += 1) {
      const bytes = csvCase(`test/${index}`);
      const reference = verdictOn(bytes, 'reference', bytes.length + 1);
      expect({ index, ...verdictOn(bytes, 'kernel', 1 + (index % 80)) }).toEqual({ index, ...reference });
      if (reference.refusal !== undefined) refused += 1;
    }
    // Neither verdict is rare.
    expect(refused).toBeGreaterThan(CASES / 10);
    expect(refused).toBeLessThan(CASES * 0.9);
  });

  test('agree on any text that looks like CSV', () => {
    const unit = fc.constantFrom('1', '.', ',', '"', '\n', '\r', 'a', '-', '\0', 'é');
    fc.assert(
      fc.property(fc.string({ unit, maxLength: 60 }), fc.integer({ min: 1, max: 80 }), (text, blockBytes) => {
        const bytes = Buffer.from(`ID,Value\n${text}`);
        expect(verdictOn(bytes, 'kernel', blockBytes)).toEqual(verdictOn(bytes, 'reference', bytes.length));
      }),
      { numRuns: 3000 },
    );
  });

  test('agree on rows that are longer than what is carried from block to block', () => {
    for (const length of [60_000, 70_000, 1_048_570, 1_048_576, 1_048_577, 1_100_000]) {
      const long = 'x'.repeat(length);
      for (const row of [
        `${long},1`,
        `"${long}",1`,
        `"${'""'.repeat(length / 2)}",1`,
        `1,${'1'.repeat(length)}`,
        `${','.repeat(length)}a"`,
      ]) {
        const bytes = Buffer.from(`ID,Value\n1,2\n${row}\n3,4\n`);
        expect(verdictOn(bytes, 'kernel', 65_536)).toEqual(verdictOn(bytes, 'reference', 65_536));
      }
    }
  });
});

describe('The text of a number', () => {
  const kernel = new ByteKernel('s', 64);
  const written = (number: number) => kernel.textOf(number);

  test('is that of String(), for any double', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (number) => {
        expect(written(number)).toBe(String(number));
      }),
      { numRuns: 20_000 },
    );
  });

  test('is that of String(), for products, decimals, neighbours of powers and any bits', () => {
    for (const number of randomDoubles(200_000, 'test')) {
      if (written(number) !== String(number)) expect(written(number)).toBe(String(number));
    }
  });

  test('is that of String(), for products and fractions of every size in the ordinary range', () => {
    for (let exponent = -16; exponent <= 54; exponent += 1) {
      for (let step = 1; step < 1500; step += 1) {
        // Fractions of 7919 spread evenly over the binade; the others have few bits and lie half-way more often.
        for (const number of [1 + step / 7919, 1 + step / 4096, 1 + (step % 64) / 64 + 2 ** -52]) {
          const scaled = number * 2 ** exponent;
          if (written(scaled) !== String(scaled)) expect(written(scaled)).toBe(String(scaled));
        }
      }
    }
  });
});
