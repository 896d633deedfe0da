/**
 * Temporary files that an attempt left behind when it was killed. Their names tell whose they are:
 *
 *   .<output>.<message>-<attempt>-<host>-<process>.<random>.tmp
 *
 * Only those of the same message are ever removed, and only when they cannot be in use. Should one be in use after all
 * (a node that was given up and lives), its writer finds it gone at its rename and ends with 75; nothing is lost.
 */
import { createHash } from 'node:crypto';
import { lstat, readdir, unlink } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { errnoOf } from './contract/errors.ts';
import { type Location, pathOf } from './storage.ts';

/** Who writes a temporary file. */
export interface Writer {
  readonly messageId: string;
  readonly attempt: number;
}

/** Unwritten for so long, in milliseconds, a file of the same attempt belongs to nobody: a block takes far less. */
const ABANDONED_AFTER_MS = 60 * 60 * 1000;

const NAME =
  /\.(?<message>[0-9a-f]{16})-(?<attempt>\d+)-(?<host>[0-9a-f]{8})-(?<pid>\d+)\.[0-9a-f]{16}\.tmp$/;

/** The part of a temporary file's name that says whose it is; at most 64 characters. */
export function temporaryTag({ messageId, attempt }: Writer): string {
  return `${shortHash(messageId, 16)}-${attempt}-${shortHash(hostname(), 8)}-${process.pid}`;
}

/** Removes what earlier attempts of this message left beside these outputs. A failure is not one of the task. */
export async function sweepLeftovers(outputs: readonly Location[], writer: Writer): Promise<void> {
  const directories = new Set(outputs.map((output) => dirname(pathOf(output))));
  for (const directory of directories) {
    const names = await readdir(directory).catch(() => []);
    for (const name of names) {
      const path = join(directory, name);
      if (await isLeftover(path, writer)) await unlink(path).catch(() => undefined);
    }
  }
}

async function isLeftover(path: string, { messageId, attempt }: Writer): Promise<boolean> {
  const groups = NAME.exec(basename(path))?.groups;
  if (groups?.['message'] !== shortHash(messageId, 16)) return false;
  // The operator starts an attempt only when the pods of the one before have ended.
  if (Number(groups['attempt']) < attempt) return true;
  // On this host its process can be asked for. Our own number is one that was used before: we have made no file yet.
  const pid = Number(groups['pid']);
  if (groups['host'] === shortHash(hostname(), 8) && (pid === process.pid || !isAlive(pid))) return true;
  const stats = await lstat(path).catch(() => undefined);
  return stats !== undefined && Date.now() - stats.mtimeMs > ABANDONED_AFTER_MS;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it lives, and is another user's.
    return errnoOf(error) !== 'ESRCH';
  }
}

function shortHash(text: string, length: number): string {
  return createHash('sha256').update(text).digest('hex').slice(0, length);
}
