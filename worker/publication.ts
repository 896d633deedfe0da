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

/** Characters of the target's name in the temporary one: at most 4 bytes each beside a tag of up to 64, and NAME_MAX is 255 bytes. */
const MAX_NAME_CHARACTERS = 40;

/** Fills one file for each location, handed over in their order. */
type Fill = (file: FileHandle, second: FileHandle | undefined) => Promise<void>;

/** `publishAll` for one file. */
export async function publish(
  location: Location,
  write: (file: FileHandle) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  return publishAll([location], write, signal);
}

/**
 * Lets `write` fill temporary files and publishes them at one or two locations, in their order, once all are safely on
 * the disk. On any failure, an abort of `signal` included, the temporary files are removed; the targets are untouched
 * unless it was a rename that failed. An abort that comes after the writing no longer counts: the publication is
 * finished. Two publishers of one target do not disturb each other; the later rename wins.
 */
export async function publishAll(
  locations: readonly [Location] | readonly [Location, Location],
  write: Fill,
  signal: AbortSignal,
): Promise<void> {
  for (const location of locations) await prepareOutput(location);
  signal.throwIfAborted();
  const files = locations.map((location) => ({ location, temporary: temporaryPath(location) }));
  try {
    await fillAll(files, write);
    signal.throwIfAborted();
    for (const { location, temporary } of files) {
      await about(location, () => rename(temporary, pathOf(location)));
    }
  } catch (error) {
    // They may not exist (the open failed), or be out of reach like everything else; the first error tells why.
    await Promise.allSettled(files.map(({ temporary }) => unlink(temporary)));
    throw error;
  }
  for (const location of locations) await about(location, () => syncDirectory(dirname(pathOf(location))));
}

interface File {
  readonly location: Location;
  readonly temporary: string;
}

async function about<T>(location: Location, step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    throw asWorkerError(error, 'output', location.shown);
  }
}

/** Random rather than named after the attempt alone: Kubernetes may run the pod of one attempt twice. */
function temporaryPath(location: Location): string {
  const target = pathOf(location);
  const name = Array.from(basename(target)).slice(0, MAX_NAME_CHARACTERS).join('');
  const tag = location.temporaryTag === undefined ? '' : `${location.temporaryTag}.`;
  return join(dirname(target), `.${name}.${tag}${randomBytes(8).toString('hex')}.tmp`);
}

async function fillAll([first, second]: readonly File[], write: Fill): Promise<void> {
  if (first === undefined) return;
  await fill(first, (file) =>
    second === undefined ? write(file, undefined) : fill(second, (other) => write(file, other)),
  );
}

async function fill(
  { location, temporary }: File,
  write: (file: FileHandle) => Promise<void>,
): Promise<void> {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  await about(location, async () => {
    const file = await open(temporary, flags);
    try {
      await write(file);
      await file.sync();
    } catch (error) {
      await file.close().catch(() => undefined);
      throw error;
    }
    // NFS reports ENOSPC, EDQUOT and EIO of delayed writes here, so this error is one of the writing.
    await file.close();
  });
}
