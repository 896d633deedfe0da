/**
 * Who runs on this machine, read from /proc. Every process of a cluster carries the cluster's run directory in its
 * environment, so that they can be found without any bookkeeping, even those started a moment before a crash.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { z } from 'zod';

/** The environment variable that every process of a cluster inherits; its value is the cluster's run directory. */
export const CLUSTER_MARK = 'BATCHQUEUE_CLUSTER_DIRECTORY';

/** A process that cannot be mistaken for a later one with the same number. `startTime` is in clock ticks since boot. */
export const processIdentitySchema = z.object({ pid: z.number().int(), startTime: z.string() }).readonly();
export type ProcessIdentity = z.infer<typeof processIdentitySchema>;

/** The identity of a living process; undefined when there is none (a zombie counts as none). */
export function identityOf(pid: number): ProcessIdentity | undefined {
  const stat = readOrUndefined(`/proc/${pid}/stat`);
  return stat === undefined ? undefined : identityFromStat(pid, stat);
}

/**
 * Reads one line of /proc/PID/stat. The command name in it may hold spaces and parentheses, hence the search from the
 * right; after it come the state (field 3) and, as field 22, the start time (proc(5)).
 */
export function identityFromStat(pid: number, stat: string): ProcessIdentity | undefined {
  const fields = stat
    .slice(stat.lastIndexOf(')') + 1)
    .trim()
    .split(' ');
  const [state, startTime] = [fields[0], fields[19]];
  return startTime === undefined || state === 'Z' || state === 'X' ? undefined : { pid, startTime };
}

/** True while exactly this process lives. */
export function isRunning(identity: ProcessIdentity | undefined): boolean {
  return identity !== undefined && identityOf(identity.pid)?.startTime === identity.startTime;
}

/** The living processes that belong to the cluster with this run directory, in ascending order of pid. */
export function processesOf(directory: string): ProcessIdentity[] {
  const mark = `${CLUSTER_MARK}=${directory}`;
  return allProcesses().filter(({ pid }) =>
    readOrUndefined(`/proc/${pid}/environ`)?.split('\0').includes(mark),
  );
}

/** Every living process that this user may see, in ascending order of pid. */
export function allProcesses(): ProcessIdentity[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number)
    .sort((a, b) => a - b)
    .flatMap((pid) => identityOf(pid) ?? []);
}

/** The command line of a process for messages to people, arguments joined by spaces; empty when it is gone. */
export function commandLineOf(pid: number): string {
  return (readOrUndefined(`/proc/${pid}/cmdline`) ?? '').replaceAll('\0', ' ').trim();
}

function readOrUndefined(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // Gone between listing and reading, or another user's: either way not ours to judge.
    return undefined;
  }
}
