/**
 * Removes a cluster. Every step asks the machine what is there instead of trusting notes, so the whole may run again
 * after a crash at any point, and twice at once.
 */
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { addressesOfSlot } from './addresses.ts';
import { removeCgroups } from './cgroups.ts';
import { hasErrno } from './errno.ts';
import { removeLink } from './network.ts';
import { commandLineOf, processesOf } from './process-table.ts';

/** Which cluster to remove. */
export interface Remains {
  readonly slot: number;
  /** The run directory that its processes carry in their environment. */
  readonly mark: string;
  /** Where the run directory is now; differs from `mark` when a stale one was moved aside. */
  readonly directory: string;
}

/** Processes get SIGKILL, so only one stuck in the kernel takes this long. */
const PROCESSES_GONE_WITHIN_MS = 30_000;

/**
 * When this returns there is no process, mount, link, cgroup or run directory of the cluster. Mounts, the network and
 * its rules live in namespaces that end with their last process. Throws, with the run directory kept, when something
 * will not go; a later call continues.
 */
export async function removeCluster(remains: Remains): Promise<void> {
  const { name, hostLink } = addressesOfSlot(remains.slot);
  await killProcesses(remains.mark);
  await removeLink(hostLink);
  await removeCgroups(name, remains.directory);
  await rm(remains.directory, { recursive: true, force: true, maxRetries: 5 });
}

async function killProcesses(mark: string): Promise<void> {
  const deadline = Date.now() + PROCESSES_GONE_WITHIN_MS;
  for (;;) {
    const left = processesOf(mark).filter(({ pid }) => pid !== process.pid);
    if (left.length === 0) return;
    if (Date.now() > deadline)
      throw new Error(
        `these processes do not end: ${left.map(({ pid }) => `${pid} ${commandLineOf(pid)}`).join('; ')}`,
      );
    for (const { pid } of left) if (existsSync(`/proc/${pid}`)) kill(pid);
    await delay(20);
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (!hasErrno(error, 'ESRCH')) throw error;
  }
}
