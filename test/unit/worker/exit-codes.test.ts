import { describe, expect, test } from '@jest/globals';
import { type Verdict, WorkerError } from '../../../worker/errors.ts';
import {
  asWorkerError,
  exitCodeFor,
  type Side,
  verdictOf,
  verdictOfErrno,
  verdictOfRootErrno,
} from '../../../worker/exit-codes.ts';

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

describe('The verdict for a failed system call', () => {
  test.each<[string, Side, Verdict]>([
    ['ENOENT', 'input', 'reject'],
    ['ENOTDIR', 'input', 'reject'],
    ['EISDIR', 'input', 'reject'],
    ['ELOOP', 'input', 'reject'],
    ['ENAMETOOLONG', 'input', 'reject'],
    ['ENXIO', 'input', 'reject'],
    ['EACCES', 'input', 'retry'],
    ['EIO', 'input', 'retry'],
    ['ESTALE', 'input', 'retry'],
    ['EROFS', 'input', 'retry'],
    ['EEXIST', 'output', 'reject'],
    ['ENOTDIR', 'output', 'reject'],
    ['ENAMETOOLONG', 'output', 'reject'],
    ['ENOENT', 'output', 'retry'],
    ['EACCES', 'output', 'retry'],
    ['ENOSPC', 'output', 'retry'],
    ['EDQUOT', 'output', 'retry'],
    ['EIO', 'output', 'retry'],
    ['ESTALE', 'output', 'retry'],
    ['EROFS', 'output', 'misconfigured'],
    ['EUNHEARDOF', 'output', 'retry'],
  ])('%s on the %s is %s', (errno, side, verdict) => {
    expect(verdictOfErrno(errno, side)).toBe(verdict);
    const error = Object.assign(new Error('x'), { code: errno, syscall: 'open' });
    expect(asWorkerError(error, side, 'a.csv')).toMatchObject({
      verdict,
      message: expect.stringContaining(errno),
    });
  });

  test.each<[string | undefined, Verdict]>([
    ['ENOENT', 'misconfigured'],
    ['EACCES', 'misconfigured'],
    ['EROFS', 'misconfigured'],
    ['ESTALE', 'retry'],
    ['EIO', 'retry'],
    [undefined, 'retry'],
  ])('%s on the storage root is %s', (errno, verdict) => {
    expect(verdictOfRootErrno(errno)).toBe(verdict);
  });

  test('an error that nobody understood is retried, never rejected', () => {
    expect(verdictOf(new TypeError('x'))).toBe('retry');
    expect(verdictOf('thrown text')).toBe('retry');
    expect(asWorkerError(new TypeError('x'), 'input', 'a').verdict).toBe('retry');
  });

  test('an error that has its verdict keeps it', () => {
    const error = new WorkerError('reject', 'x');
    expect(asWorkerError(error, 'output', 'a')).toBe(error);
  });
});
