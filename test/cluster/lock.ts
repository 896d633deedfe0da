/** A lock between processes: a directory with the holder's identity in it. */
import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { hasErrno } from './errno.ts';
import type { ProcessIdentity } from './process-table.ts';
import { identityOf, isRunning, processIdentitySchema } from './process-table.ts';

export interface LockOptions {
  readonly progress: (line: string) => void;
  readonly signal: AbortSignal | undefined;
}

/** A lock without a readable holder is left alone for this long: the holder may be about to write its identity. */
const TAKING_MS = 5_000;
const PAUSE_MS = 250;

/**
 * Runs `work` while holding the lock at `directory`; waits for another holder and takes the lock over when that one
 * died. After a crash the lock is left behind and the next caller takes it over.
 */
export async function withLock<T>(
  directory: string,
  options: LockOptions,
  work: () => Promise<T>,
): Promise<T> {
  for (let waited = false; !(await take(directory)); waited = true) {
    if (!waited) options.progress(`waiting for another process that holds ${directory}`);
    options.signal?.throwIfAborted();
    if (await isAbandoned(directory)) await breakLock(directory);
    else await delay(PAUSE_MS);
  }
  try {
    return await work();
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function take(directory: string): Promise<boolean> {
  try {
    await mkdir(directory);
  } catch (error) {
    if (hasErrno(error, 'EEXIST')) return false;
    throw error;
  }
  await writeFile(path.join(directory, 'holder'), JSON.stringify(identityOf(process.pid)));
  return true;
}

async function isAbandoned(directory: string): Promise<boolean> {
  const holder = await readHolder(directory);
  if (holder !== undefined) return !isRunning(holder);
  const takenAtMs = (await stat(directory).catch(() => undefined))?.mtimeMs;
  return takenAtMs !== undefined && Date.now() - takenAtMs > TAKING_MS;
}

/** Of two processes that break the same lock, the rename of one fails. */
async function breakLock(directory: string): Promise<void> {
  const aside = `${directory}.${process.pid}`;
  await rename(directory, aside).catch(() => undefined);
  await rm(aside, { recursive: true, force: true });
}

async function readHolder(directory: string): Promise<ProcessIdentity | undefined> {
  try {
    return processIdentitySchema.parse(JSON.parse(await readFile(path.join(directory, 'holder'), 'utf8')));
  } catch {
    return undefined;
  }
}
