/** The clusters of this user, as `status` shows them and `down` removes them. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { readApi } from './api-probe.ts';
import { parseKubeconfig } from './kubeconfig.ts';
import { isRunning } from './process-table.ts';
import type { ClusterRecord } from './slots.ts';
import { isOrphan, listClusters } from './slots.ts';
import { removeCluster } from './teardown.ts';
import { waitFor } from './wait.ts';

export interface ClusterState {
  readonly name: string;
  readonly slot: number;
  readonly directory: string;
  readonly record: ClusterRecord;
}

/** A janitor gets rid of a cluster in about a second; a full disk or a stuck process makes it longer. */
const GONE_WITHIN_MS = 45_000;

/** Every cluster of this user that exists or is coming up. */
export async function clusterStates(stateDirectory: string): Promise<ClusterState[]> {
  const clusters = await listClusters(stateDirectory);
  return clusters.map(({ slot, directory, record }) => ({ name: record.name, slot, directory, record }));
}

/**
 * One word: `ready`, `starting`, `orphaned` (its processes died without a trace; `down` removes the rest), or
 * `unhealthy` (its API server does not answer).
 */
export async function healthOf({ directory, record }: ClusterState): Promise<string> {
  if (isOrphan(record)) return 'orphaned';
  if (record.kubeconfigPath === undefined) return 'starting';
  try {
    const access = parseKubeconfig(await readFile(path.join(directory, 'admin.kubeconfig'), 'utf8'));
    return (await readApi(access, '/readyz')) === 'ok' ? 'ready' : 'unhealthy';
  } catch {
    return 'unhealthy';
  }
}

/** Removes a cluster through its janitor, or by hand when it has none. When this returns nothing is left of it. */
export async function takeDown({ slot, directory, record }: ClusterState): Promise<void> {
  if (record.janitor === undefined || !isRunning(record.janitor))
    return removeCluster({ slot, mark: directory, directory });
  process.kill(record.janitor.pid, 'SIGTERM');
  const { janitor } = record;
  await waitFor(async () => !isRunning(janitor), {
    what: `removal of ${record.name}`,
    timeoutMs: GONE_WITHIN_MS,
  });
  if (existsSync(directory))
    throw new Error(
      `${record.name} could not be removed:\n${await readFile(path.join(directory, 'teardown-error'), 'utf8')}`,
    );
}
