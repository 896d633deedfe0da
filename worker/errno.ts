/** What a failed system call means for the message, and how it is put into words. */
import { errnoOf, messageOf, type Verdict, WorkerError } from './contract/errors.ts';

/** Which side of a task a system call served: the same errno means different things. */
export type Side = 'input' | 'output';

/** What is wrong with the path itself: it names nothing, or nothing that can be read as a file. */
const PATH_ERRNOS = ['ENOTDIR', 'EISDIR', 'ELOOP', 'ENAMETOOLONG'];

const REJECTED: Readonly<Record<Side, ReadonlySet<string>>> = {
  // ENXIO: a socket, or a device without a driver. A missing file is the sender's mistake: nothing here creates it.
  input: new Set([...PATH_ERRNOS, 'ENOENT', 'ENXIO']),
  // EEXIST: a parent directory of the output exists as something else. ENOENT is not here: directories are created, so
  // one that is missing was removed meanwhile.
  output: new Set([...PATH_ERRNOS, 'EEXIST']),
};

/** A volume mounted read-only takes no output of any message. */
const MISCONFIGURED_OUTPUT = new Set(['EROFS']);

/**
 * The verdict for a failed system call. Everything that is not known to be final may pass and is retried: ENOSPC,
 * EDQUOT, EIO, ESTALE, EACCES (somebody may repair the permission), and whatever is not listed.
 */
export function verdictOfErrno(errno: string, side: Side): Verdict {
  if (REJECTED[side].has(errno)) return 'reject';
  if (side === 'output' && MISCONFIGURED_OUTPUT.has(errno)) return 'misconfigured';
  return 'retry';
}

/** Errors of the root directory that mean it was set up wrongly, rather than that the file server is away. */
const MISCONFIGURED_ROOT = new Set([
  'ENOENT',
  'ENOTDIR',
  'EACCES',
  'EPERM',
  'EROFS',
  'ELOOP',
  'ENAMETOOLONG',
]);

/** The verdict when the storage root itself cannot be used. */
export function verdictOfRootErrno(errno: string | undefined): Verdict {
  return errno !== undefined && MISCONFIGURED_ROOT.has(errno) ? 'misconfigured' : 'retry';
}

/** Any error as a WorkerError whose message names the file. A WorkerError stays as it is. */
export function asWorkerError(error: unknown, side: Side, shown: string): WorkerError {
  if (error instanceof WorkerError) return error;
  const errno = errnoOf(error);
  if (errno === undefined) {
    return new WorkerError('retry', `${side} ${shown}: unexpected failure (${messageOf(error)})`, error);
  }
  return new WorkerError(verdictOfErrno(errno, side), `${side} ${shown}: ${describeErrno(errno)}`, error);
}

const ERRNO_TEXT: Readonly<Record<string, string>> = {
  ENOENT: 'does not exist (ENOENT)',
  ENOTDIR: 'a part of the path is not a directory (ENOTDIR)',
  EISDIR: 'is a directory, allowed: a regular file (EISDIR)',
  ELOOP: 'is a symbolic link, allowed: a regular file (ELOOP)',
  ENAMETOOLONG: 'the name is too long for the file system (ENAMETOOLONG)',
  ENXIO: 'is a socket or a device, allowed: a regular file (ENXIO)',
  EEXIST: 'a part of the path exists and is not a directory (EEXIST)',
  EACCES: 'permission denied (EACCES)',
  ENOSPC: 'no space left on the volume (ENOSPC)',
  EDQUOT: 'the quota of the volume is used up (EDQUOT)',
  EROFS: 'the volume is mounted read-only (EROFS)',
};

function describeErrno(errno: string): string {
  return ERRNO_TEXT[errno] ?? `input/output error (${errno})`;
}
