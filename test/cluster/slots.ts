/**
 * Which clusters exist on this machine. A cluster is a directory `<state directory>/bq<slot>`; making that directory
 * claims the slot, and removing it, the last step of teardown, frees it.
 */
import { lstat, mkdir, readdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import path from 'node:path';
import { z } from 'zod';
import { addressesOfSlot, isTaken, SLOT_COUNT } from './addresses.ts';
import { hasErrno } from './errno.ts';
import { identityOf, isRunning, processIdentitySchema } from './process-table.ts';
import type { Remains } from './teardown.ts';

export type ClusterSize = 'control-plane' | 'node';

/** What `cluster.json` in a run directory says; absent fields are not known yet. */
const recordSchema = z
  .object({
    name: z.string(),
    size: z.enum(['control-plane', 'node']),
    createdAtMs: z.number(),
    launcher: processIdentitySchema,
    janitor: processIdentitySchema.optional(),
    /** Set when the cluster is ready for use. */
    kubeconfigPath: z.string().optional(),
  })
  .readonly();
export type ClusterRecord = z.infer<typeof recordSchema>;

/** A claimed slot. */
export interface Slot {
  readonly slot: number;
  readonly directory: string;
}

export interface Claim {
  readonly stateDirectory: string;
  readonly size: ClusterSize;
  readonly nowMs: number;
  /** Removes what a dead cluster left. */
  readonly remove: (remains: Remains) => Promise<void>;
}

/** A claim without a readable record is left alone for this long: its owner may be about to write one. */
const CLAIM_GRACE_MS = 60_000;

/**
 * Where run directories are: on disk (container images are too large for a tmpfs), one place per user because only
 * its owner may write there, short because containerd's socket path must stay under 108 bytes.
 */
export function defaultStateDirectory(): string {
  return `/var/tmp/batchqueue-${process.getuid?.() ?? 'clusters'}`;
}

/**
 * Claims a free slot for this process and removes what dead clusters left on the way. After a crash half-way the
 * claim is stale (its launcher is dead) and the next call takes it. Throws when all slots are in use.
 */
export async function claimSlot({ stateDirectory, size, nowMs, remove }: Claim): Promise<Slot> {
  await makeStateDirectory(stateDirectory);
  const machineAddresses = ownAddresses();
  for (let slot = 0; slot < SLOT_COUNT; slot += 1) {
    const directory = path.join(stateDirectory, addressesOfSlot(slot).name);
    if (await isStale(directory, nowMs)) await reclaim(directory, slot, remove);
    if (isTaken(addressesOfSlot(slot), machineAddresses)) continue;
    if (!(await makeDirectory(directory))) continue;
    const launcher = identityOf(process.pid);
    if (launcher === undefined) throw new Error('cannot read /proc of this process');
    await writeRecord(directory, { name: addressesOfSlot(slot).name, size, createdAtMs: nowMs, launcher });
    return { slot, directory };
  }
  throw new Error(`all ${SLOT_COUNT} cluster slots are in use; "npm run cluster -- status" lists them`);
}

/** The clusters that exist or are coming up, by name; directories without a readable record are left out. */
export async function listClusters(
  stateDirectory: string,
): Promise<{ directory: string; slot: number; record: ClusterRecord }[]> {
  const entries: string[] = await readdir(stateDirectory).catch(() => []);
  const found = await Promise.all(
    Array.from({ length: SLOT_COUNT }, async (_, slot) => {
      const { name } = addressesOfSlot(slot);
      const directory = path.join(stateDirectory, name);
      const record = entries.includes(name) ? await readRecord(directory) : undefined;
      return record === undefined ? [] : [{ directory, slot, record }];
    }),
  );
  return found.flat();
}

/** Replaces the record in one step: a reader sees the old one or the new one. */
export async function writeRecord(directory: string, record: ClusterRecord): Promise<void> {
  const temporary = path.join(directory, 'cluster.json.new');
  await writeFile(temporary, `${JSON.stringify(record, undefined, 2)}\n`);
  await rename(temporary, path.join(directory, 'cluster.json'));
}

/** The record of a run directory; undefined when there is none that can be read. */
export async function readRecord(directory: string): Promise<ClusterRecord | undefined> {
  try {
    return recordSchema.parse(JSON.parse(await readFile(path.join(directory, 'cluster.json'), 'utf8')));
  } catch {
    return undefined;
  }
}

/** True when nobody will take this cluster down any more: its launcher and its janitor are both dead. */
export function isOrphan(record: ClusterRecord): boolean {
  return !isRunning(record.launcher) && !isRunning(record.janitor);
}

async function isStale(directory: string, nowMs: number): Promise<boolean> {
  const record = await readRecord(directory);
  if (record !== undefined) return isOrphan(record);
  const claimedAtMs = (await stat(directory).catch(() => undefined))?.mtimeMs;
  return claimedAtMs !== undefined && nowMs - claimedAtMs > CLAIM_GRACE_MS;
}

/** The rename decides between two launchers that find the same stale slot: the loser's rename fails. */
async function reclaim(directory: string, slot: number, remove: Claim['remove']): Promise<void> {
  const aside = `${directory}.stale-${process.pid}`;
  try {
    await rename(directory, aside);
  } catch {
    return;
  }
  await remove({ slot, mark: directory, directory: aside });
}

async function makeDirectory(directory: string): Promise<boolean> {
  try {
    await mkdir(directory, { mode: 0o700 });
    return true;
  } catch (error) {
    if (hasErrno(error, 'EEXIST')) return false;
    throw error;
  }
}

/** The parent is writable by everybody, so an existing directory is used only if it is ours and not a link. */
async function makeStateDirectory(stateDirectory: string): Promise<void> {
  await mkdir(stateDirectory, { recursive: true, mode: 0o700 });
  const found = await lstat(stateDirectory);
  if (!found.isDirectory() || found.uid !== process.getuid?.())
    throw new Error(`${stateDirectory} belongs to somebody else; remove it or run as its owner`);
}

function ownAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap((entries) =>
    (entries ?? []).map((entry) => entry.address),
  );
}
