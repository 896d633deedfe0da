/** Starting and stopping the shared clusters, in jest's main process. */
import type { Cluster } from '../cluster/cluster.ts';
import { clusterStates, takeDown } from '../cluster/inventory.ts';
import { defaultStateDirectory } from '../cluster/slots.ts';
import type { ClusterVariable } from './clusters.ts';
import { handedOverName, handOver } from './clusters.ts';

/**
 * Starts a cluster and hands over its name and what `describe` says of it. A failure is handed over too: each test
 * then fails with the reason, and the run still ends with its one line. If this process is killed the cluster goes
 * with it.
 */
export async function share(
  variable: ClusterVariable,
  start: () => Promise<Cluster>,
  describe: (cluster: Cluster) => object,
): Promise<void> {
  try {
    const cluster = await start();
    handOver(variable, { name: cluster.name, ...describe(cluster) });
  } catch (error) {
    handOver(variable, { failure: error instanceof Error ? error.message : String(error) });
  }
}

/** Removes the cluster that was handed over, if any; when this returns nothing is left of it. */
export async function unshare(variable: ClusterVariable): Promise<void> {
  const name = handedOverName(variable);
  for (const state of await clusterStates(defaultStateDirectory()))
    if (state.name === name) await takeDown(state);
}

/** Progress goes to stderr, where jest writes too. */
export function progressOf(project: string): (line: string) => void {
  return (line) => process.stderr.write(`${project}: ${line}\n`);
}
