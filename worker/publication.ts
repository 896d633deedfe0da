/**
 * Atomic publication: readers see the old file or the whole new one, never a part.
 *
 *   temporary file (same directory) ──write──► fsync ──► close ──► rename over the target ──► fsync of the directory
 *
 * A crash before the rename leaves the target as it was, and possibly a file `.name.<random>.tmp` beside it; a crash
 * after it leaves the complete new file. Doing it again is harmless at every point.
 */
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open, rename, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { asWorkerError } from './errno.ts';
import { type Location, pathOf, prepareOutput, syncDirectory } from './storage.ts';

/** Characters of the target's name in the temporary one: at most 4 bytes each, and NAME_MAX is 255 bytes. */
const MAX_NAME_CHARACTERS = 48;

/**
 * Lets `write` fill a temporary file and publishes it at `location`. On any failure, an abort of `signal` included, the
 * temporary file is removed and the target is untouched. An abort that comes after the writing no longer counts: the
 * publication is finished. Two publishers of one target do not disturb each other; the later rename wins.
 */
export async function publish(
  location: Location,
  write: (file: FileHandle) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  await prepareOutput(location);
  signal.throwIfAborted();
  const target = pathOf(location);
  const temporary = temporaryPath(target);
  try {
    await fill(temporary, write);
    signal.throwIfAborted();
    await rename(temporary, target);
  } catch (error) {
    // It may not exist (the open failed), or be out of reach like everything else; the first error tells why.
    await unlink(temporary).catch(() => undefined);
    throw asWorkerError(error, 'output', location.shown);
  }
  await syncDirectory(dirname(target)).catch((error: unknown) => {
    throw asWorkerError(error, 'output', location.shown);
  });
}

/** Random rather than named after the attempt: Kubernetes may run the pod of one attempt twice. */
function temporaryPath(target: string): string {
  const name = Array.from(basename(target)).slice(0, MAX_NAME_CHARACTERS).join('');
  return join(dirname(target), `.${name}.${randomBytes(8).toString('hex')}.tmp`);
}

async function fill(path: string, write: (file: FileHandle) => Promise<void>): Promise<void> {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  const file = await open(path, flags);
  try {
    await write(file);
    await file.sync();
  } catch (error) {
    await file.close().catch(() => undefined);
    throw error;
  }
  // NFS reports ENOSPC, EDQUOT and EIO of delayed writes here, so this error is one of the writing.
  await file.close();
}
