/**
 * Launcher of a cluster that stays in the background. It tells the command that started it how things go, then lives
 * until the cluster is taken down. Run as: node supervisor.ts SIZE, with an IPC channel.
 */
import { startCluster } from './cluster.ts';
import type { ClusterSize } from './slots.ts';
import type { SupervisorMessage } from './supervisor-message.ts';

const size: ClusterSize = process.argv[2] === 'node' ? 'node' : 'control-plane';
const abort = new AbortController();
const giveUp = () => abort.abort(new Error('interrupted'));
// The other end is gone before the cluster was ready: nobody knows of it, so nobody would take it down.
process.once('disconnect', giveUp);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, giveUp);

try {
  const onProgress = (line: string) => tell({ kind: 'progress', line });
  const cluster = await startCluster({ size, onProgress, signal: abort.signal });
  abort.signal.addEventListener('abort', () => void cluster.stop());
  process.off('disconnect', giveUp);
  const { name, kubeconfigPath, kubectlPath } = cluster;
  tell({ kind: 'ready', name, kubeconfigPath, kubectlPath });
  if (process.connected) process.disconnect();
  const alive = setInterval(() => undefined, 2 ** 30);
  await cluster.gone;
  clearInterval(alive);
} catch (error) {
  tell({ kind: 'failed', reason: error instanceof Error ? error.message : String(error) });
  if (process.connected) process.disconnect();
  process.exitCode = 1;
}

function tell(message: SupervisorMessage): void {
  if (process.connected) process.send?.(message);
}
