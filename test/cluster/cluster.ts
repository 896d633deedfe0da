/** A real Kubernetes on this machine, for tests and demonstrations. */
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { findBinaries } from './binaries.ts';
import { importArchive } from './containerd.ts';
import type { Running, StartContext } from './control-plane.ts';
import { startControlPlane } from './control-plane.ts';
import type { Guard } from './guard.ts';
import { postGuard } from './guard.ts';
import { startNode } from './node.ts';
import { markedEnvironment } from './processes.ts';
import { provideNodeTools, thisMachine, unsupportedReason } from './requirements.ts';
import type { ClusterSize, Slot } from './slots.ts';
import { claimSlot, defaultStateDirectory, readRecord, writeRecord } from './slots.ts';
import { removeCluster } from './teardown.ts';

export interface ClusterOptions {
  /** `control-plane`: etcd, API server, controller manager. `node`: those, plus a node that runs pods (root). */
  readonly size: ClusterSize;
  /** Told in sentences what is going on; silent by default. */
  readonly onProgress?: (line: string) => void;
  /** Image archives to load before the cluster counts as started; only for `node`. */
  readonly images?: readonly string[];
  /** Gives up starting; what was made until then is removed before the promise rejects. */
  readonly signal?: AbortSignal;
}

export interface Cluster {
  readonly name: string;
  readonly size: ClusterSize;
  /** Run directory: logs below `log/`. */
  readonly directory: string;
  /** Administrator's kubeconfig; needs no other file. */
  readonly kubeconfigPath: string;
  /** A kubectl of the cluster's version. */
  readonly kubectlPath: string;
  /** Address at which pods reach a listener on this machine; 127.0.0.1 where there are no pods. */
  readonly hostAddress: string;
  /** The node, as this machine reaches it; undefined without a node. */
  readonly nodeAddress?: string;
  /** Settles when the cluster is gone, also when somebody else took it down. */
  readonly gone: Promise<void>;
  /** Loads an image archive into the node. Throws when the cluster has none. */
  importImage(archivePath: string): Promise<void>;
  /** Removes the cluster; when it returns nothing is left. May be called again. */
  stop(): Promise<void>;
}

/**
 * Starts a cluster. It ends with `stop()` and, whatever happens, with this process: within seconds of its death, even
 * by SIGKILL, a separate process removes all of it. Throws when this machine cannot run one, with what to do about it.
 */
export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  const progress = options.onProgress ?? (() => undefined);
  const reason = unsupportedReason(options.size, thisMachine());
  if (reason !== undefined) throw new Error(reason);
  const stateDirectory = defaultStateDirectory();
  const claim = { stateDirectory, size: options.size, nowMs: Date.now(), remove: removeCluster };
  const slot = await claimSlot(claim);
  const guard = postGuard(slot);
  try {
    await updateRecord(slot, { janitor: guard.janitor });
    await mkdir(path.join(slot.directory, 'log'));
    return await startIn(slot, guard, { ...options, onProgress: progress });
  } catch (error) {
    await guard.dismiss();
    throw error;
  }
}

async function startIn(
  slot: Slot,
  guard: Guard,
  { size, onProgress, signal, images = [] }: ClusterOptions & { onProgress: (line: string) => void },
): Promise<Cluster> {
  const env = markedEnvironment(slot.directory);
  const cniDirectory = size === 'node' ? await provideNodeTools(onProgress, signal) : '';
  const binaries = await findBinaries({ size, progress: onProgress, env, signal });
  const context: StartContext = { ...slot, binaries, images, progress: onProgress, signal };
  const running = size === 'node' ? await startNode(context, cniDirectory) : await startControlPlane(context);
  const kubeconfigPath = path.join(slot.directory, 'admin.kubeconfig');
  await updateRecord(slot, { kubeconfigPath });
  return buildCluster(slot, guard, {
    size,
    running,
    kubeconfigPath,
    kubectlPath: path.join(binaries, 'kubectl'),
  });
}

function buildCluster(
  { directory }: Slot,
  guard: Guard,
  parts: { size: ClusterSize; running: Running; kubeconfigPath: string; kubectlPath: string },
): Cluster {
  const { size, running, kubeconfigPath, kubectlPath } = parts;
  let stopped: Promise<void> | undefined;
  void guard.ended.then(() => running.processes.expectEnd());
  return {
    name: path.basename(directory),
    size,
    directory,
    kubeconfigPath,
    kubectlPath,
    hostAddress: running.hostAddress,
    ...(running.nodeAddress !== undefined && { nodeAddress: running.nodeAddress }),
    gone: guard.ended,
    async importImage(archivePath) {
      if (size !== 'node') throw new Error('a control plane without a node runs no images');
      await importArchive(directory, archivePath);
    },
    stop() {
      running.processes.expectEnd();
      stopped ??= guard.dismiss();
      return stopped;
    },
  };
}

async function updateRecord({ directory }: Slot, changes: object): Promise<void> {
  const record = await readRecord(directory);
  if (record === undefined) throw new Error(`${directory} was removed while the cluster was starting`);
  await writeRecord(directory, { ...record, ...changes });
}
