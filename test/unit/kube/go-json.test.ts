import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { goJson } from '../../../operator/kube/go-json.ts';

test.each([
  ['fields are sorted, at every depth', { b: [{ d: 1, c: 2 }], a: '' }, '{"a":"","b":[{"c":2,"d":1}]}'],
  ['and numbers as text', { 9: 0, 10: 0 }, '{"10":0,"9":0}'],
  ['a field that is undefined is left out', { a: undefined, b: null }, '{"b":null}'],
  ['what a shell reads is escaped', 'a <b >c && d', '"a \\u003cb \\u003ec \\u0026\\u0026 d"'],
  ['also in names of fields', { 'a&b': 1 }, '{"a\\u0026b":1}'],
  ['and so are two ends of lines', '\u2028\u2029', '"\\u2028\\u2029"'],
  ['the rest is as it is', 'é 𝄞 \u007f \\ "', '"é 𝄞 \u007f \\\\ \\""'],
])('%s', (_, value, text) => {
  expect(goJson(value)).toBe(text);
});

test('it means what was written', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      expect(JSON.parse(goJson(value))).toEqual(JSON.parse(JSON.stringify(value)));
    }),
  );
});
