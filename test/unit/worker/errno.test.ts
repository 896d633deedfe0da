import { describe, expect, test } from '@jest/globals';
import { type Verdict, WorkerError } from '../../../worker/contract/errors.ts';
import { asWorkerError, type Side, verdictOfErrno, verdictOfRootErrno } from '../../../worker/errno.ts';

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
    expect(asWorkerError(new TypeError('x'), 'input', 'a').verdict).toBe('retry');
  });

  test('an error that has its verdict keeps it', () => {
    const error = new WorkerError('reject', 'x');
    expect(asWorkerError(error, 'output', 'a')).toBe(error);
  });
});
