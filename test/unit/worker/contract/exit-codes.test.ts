import { describe, expect, test } from '@jest/globals';
import { type Verdict, WorkerError } from '../../../../worker/contract/errors.ts';
import { exitCodeFor, verdictOf } from '../../../../worker/contract/exit-codes.ts';

describe('The exit code of a run', () => {
  test.each<[string, Verdict[], number]>([
    ['nothing failed', [], 0],
    ['one message can never succeed', ['reject'], 65],
    ['one message may succeed later', ['retry'], 75],
    ['some can never succeed and some may', ['reject', 'retry', 'reject'], 75],
    ['the set-up is wrong', ['misconfigured'], 78],
    ['the set-up turned out wrong after other failures', ['retry', 'reject', 'misconfigured'], 78],
    ['the command line is wrong', ['usage'], 64],
  ])('when %s', (_name, verdicts, code) => {
    expect(exitCodeFor(verdicts)).toBe(code);
  });
});

test('An error that nobody understood is retried, never rejected', () => {
  expect(verdictOf(new TypeError('x'))).toBe('retry');
  expect(verdictOf('thrown text')).toBe('retry');
  expect(verdictOf(new WorkerError('reject', 'x'))).toBe('reject');
});
