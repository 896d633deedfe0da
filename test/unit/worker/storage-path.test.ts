import { join, normalize } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { problemOfPath } from '../../../worker/storage-path.ts';

describe('A path in a message', () => {
  test.each(['a.csv', 'in/a.csv', '.hidden', 'a b/ü/日本.csv', '...', 'a..b', 'x'.repeat(255)])(
    '%j may be used',
    (path) => {
      expect(problemOfPath(path)).toBeUndefined();
    },
  );

  test.each([
    '',
    '/',
    '/etc/passwd',
    '..',
    '../a',
    'a/../b',
    'a/..',
    '.',
    './a',
    'a/./b',
    'a//b',
    'a/',
    'a\\b',
    'a\0b',
    'a\nb',
    'a\u007fb',
    '\ud800',
    'x'.repeat(256),
    `${'x/'.repeat(512)}x`,
    'ü'.repeat(128),
  ])('%j is refused', (path) => {
    expect(problemOfPath(path)).toEqual(expect.stringContaining('allowed: '));
  });

  test('that passes stays below the root, whatever it is', () => {
    const segment = fc.oneof(
      fc.constantFrom('..', '.', '', '/', '\\', '\0', 'a'),
      fc.string({ unit: 'binary', maxLength: 5 }),
    );
    fc.assert(
      fc.property(fc.array(segment, { maxLength: 6 }), (segments) => {
        const path = segments.join('/');
        fc.pre(problemOfPath(path) === undefined);
        expect(join('/root', path)).toBe(`/root/${path}`);
        expect(normalize(path)).toBe(path);
      }),
    );
  });
});
