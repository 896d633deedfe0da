import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { processedValues } from '../../../worker/processed-value.ts';

/** The transform after its header, with a factor that can be followed by eye. */
function afterHeader(factor = 0.5) {
  const transform = processedValues(() => factor);
  transform(['ID', 'Value']);
  return transform;
}

describe('ProcessedValue', () => {
  test('is Value times the factor as the shortest text of the number; ID and Value pass unchanged', () => {
    const transform = processedValues(() => 1.1);
    expect(transform(['ID', 'Value'])).toEqual(['ID', 'Value', 'ProcessedValue']);
    expect(transform([' x,"é ', '9.00'])).toEqual([' x,"é ', '9.00', '9.9']);
    expect(transform(['', '3'])).toEqual(['', '3', '3.3000000000000003']);
  });

  test('reads back as the same number, for any Value', () => {
    fc.assert(
      fc.property(
        fc.double({ noDefaultInfinity: true, noNaN: true, min: -1.4e308, max: 1.4e308 }),
        (value) => {
          expect(Number(afterHeader()(['a', String(value)])[2])).toBe(value * 0.5 + 0);
        },
      ),
    );
  });

  test.each([
    '0',
    '-0',
    '+1',
    '5.',
    '.5',
    '1e3',
    '1.5E-7',
    '007',
    '1e-400',
    '1.4e308',
    `${'9'.repeat(300)}.25`,
  ])('%s is a number', (text) => {
    expect(Number.isFinite(Number(afterHeader()(['a', text])[2]))).toBe(true);
  });

  test.each([
    '',
    ' ',
    ' 1',
    '1 ',
    '.',
    'e5',
    '1e',
    '0x10',
    '1_000',
    '1,5',
    'NaN',
    'Infinity',
    '-inf',
    '1e309',
    '1.6e308',
    '--1',
    '١',
  ])('%j is none', (text) => {
    expect(() => afterHeader()(['a', text])).toThrow(expect.objectContaining({ name: 'BadRow', column: 2 }));
  });

  test('of a megabyte of digits that is no number is refused without delay', () => {
    const startedAt = performance.now();
    expect(() => afterHeader()(['a', `${'1'.repeat(1_000_000)}x`])).toThrow('allowed: a decimal number');
    // A pattern that backtracks needs minutes.
    expect(performance.now() - startedAt).toBeLessThan(2000);
  });

  test('of a refused row shows at most 60 characters, escaped', () => {
    expect(() => afterHeader()(['a', `\u0007${'z'.repeat(500)}`])).toThrow(
      `got "\\u{7}${'z'.repeat(59)}…", allowed:`,
    );
    expect(() => afterHeader()(['a', Buffer.from('é\u202e', 'utf8').toString('latin1')])).toThrow(
      String.raw`got "é\u{202e}"`,
    );
  });
});
