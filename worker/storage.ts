/**
 * Opening what a message names, inside the storage root and nowhere else. Symbolic links are refused everywhere below
 * the root. Node has no openat(), so a directory that is swapped for a link *while* we look cannot be ruled out here;
 * an access point or a `subPath` per queue is what bounds that (docs/workers.md).
 */
import { constants, type Stats } from 'node:fs';
import { access, type FileHandle, lstat, mkdir, open, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { errnoOf, messageOf, WorkerError } from './contract/errors.ts';
import { asWorkerError, type Side, verdictOfRootErrno } from './errno.ts';

/** A file below a root. */
export interface Location {
  /** Absolute path without symbolic links. */
  readonly root: string;
  /** Passed the path grammar (`storage-path.ts`), or is a single name. */
  readonly relative: string;
  /** The path as the sender or the user wrote it, for messages. */
  readonly shown: string;
  /** Stands in the names of temporary files beside an output, so that those of dead attempts are known (`leftovers.ts`). */
  readonly temporaryTag?: string | undefined;
}

/** Absolute path of a location. */
export function pathOf(location: Location): string {
  return join(location.root, location.relative);
}

/**
 * The real path of the storage root. Throws `misconfigured` when it is no directory that this user may read and write,
 * `retry` when the file server does not answer properly.
 */
export async function openRoot(root: string): Promise<string> {
  try {
    if (!(await stat(root)).isDirectory()) {
      throw new WorkerError('misconfigured', `storage root ${root} is not a directory`);
    }
    await access(root, constants.R_OK | constants.W_OK | constants.X_OK);
    return await realpath(root);
  } catch (error) {
    if (error instanceof WorkerError) throw error;
    throw new WorkerError(
      verdictOfRootErrno(errnoOf(error)),
      `storage root cannot be used: ${messageOf(error)}`,
      error,
    );
  }
}

/**
 * Opens the input for reading. Nothing is read before the checks have passed. Throws `reject` when it is missing, not
 * a regular file, or reached through a symbolic link.
 */
export async function openInput(location: Location): Promise<FileHandle> {
  // O_NONBLOCK: opening a named pipe would wait for a writer for ever; it means nothing for a regular file.
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const handle = await open(pathOf(location), flags).catch((error: unknown) => {
    throw asWorkerError(error, 'input', location.shown);
  });
  try {
    await assertParentInside(location, 'input');
    assertRegular(await handle.stat(), location, 'input');
    return handle;
  } catch (error) {
    await handle.close();
    throw asWorkerError(error, 'input', location.shown);
  }
}

/**
 * Makes sure that the output can be put in its place: creates missing directories one by one inside the root, and
 * refuses links on the way and anything but a regular file in its place. Directories stay if the task fails later.
 */
export async function prepareOutput(location: Location): Promise<void> {
  try {
    const segments = location.relative.split('/').slice(0, -1);
    for (let depth = 1; depth <= segments.length; depth += 1) {
      await ensureDirectory(join(location.root, ...segments.slice(0, depth)));
    }
    await assertParentInside(location, 'output');
    const existing = await lstat(pathOf(location)).catch(ignoreMissing);
    if (existing !== undefined) assertRegular(existing, location, 'output');
  } catch (error) {
    throw asWorkerError(error, 'output', location.shown);
  }
}

/** Writes a directory's entries to the disk, so that names made or renamed in it survive a crash. */
export async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * Where a path of the plain command points, links followed: the user names files, nobody is confined.
 * Throws `reject` when an input is missing or an output's directory does not exist.
 */
export async function locatePlain(path: string, side: Side): Promise<Location> {
  try {
    const real = await realpath(path).catch((error: unknown) => {
      if (side === 'input' || errnoOf(error) !== 'ENOENT') throw error;
      return undefined;
    });
    const target = real ?? join(await realpath(dirname(path)), basename(path));
    return { root: dirname(target), relative: basename(target), shown: path };
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' && side === 'output') {
      throw new WorkerError('reject', `output ${path}: its directory does not exist`, error);
    }
    throw asWorkerError(error, side, path);
  }
}

async function ensureDirectory(path: string): Promise<void> {
  const isNew = await mkdir(path).then(
    () => true,
    (error: unknown) => {
      if (errnoOf(error) === 'EEXIST') return false;
      throw error;
    },
  );
  // Looked at before anything is made below it: mkdir() of the next name would follow a link.
  if (!(await lstat(path)).isDirectory()) {
    throw new WorkerError(
      'reject',
      `output directory ${path} exists and is not a directory (symbolic links are refused)`,
    );
  }
  if (isNew) await syncDirectory(dirname(path));
}

/** Equality, not a prefix: a link that stays inside the root is refused as well. */
async function assertParentInside(location: Location, side: Side): Promise<void> {
  const parent = dirname(pathOf(location));
  if ((await realpath(parent)) === parent) return;
  throw new WorkerError(
    'reject',
    `${side} ${location.shown}: the path goes through a symbolic link, allowed: directories`,
  );
}

function assertRegular(stats: Stats, location: Location, side: Side): void {
  if (stats.isFile()) return;
  throw new WorkerError('reject', `${side} ${location.shown}: is ${kindOf(stats)}, allowed: a regular file`);
}

function kindOf(stats: Stats): string {
  if (stats.isDirectory()) return 'a directory';
  if (stats.isSymbolicLink()) return 'a symbolic link';
  return 'a device, pipe or socket';
}

function ignoreMissing(error: unknown): undefined {
  if (errnoOf(error) !== 'ENOENT') throw error;
}
