/** Launchers in processes of their own, to be killed. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { ClusterSize } from '../cluster/slots.ts';
import { supervisorMessageSchema } from '../cluster/supervisor-message.ts';

/** A launcher whose cluster is ready. */
export interface Launcher {
  readonly name: string;
  readonly kubeconfigPath: string;
  readonly kubectlPath: string;
  /** Sends a signal to the launcher alone. */
  kill(signal: NodeJS.Signals): void;
}

/** Starts the supervisor of `npm run cluster -- up` and returns when its cluster is ready. Throws when that fails. */
export async function startLauncher(size: ClusterSize): Promise<Launcher> {
  const supervisor = fileURLToPath(new URL('../cluster/supervisor.ts', import.meta.url));
  const child = spawn(process.execPath, [supervisor, size], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`the launcher ended (${code})`)));
    child.on('message', (received) => {
      const message = supervisorMessageSchema.parse(received);
      if (message.kind === 'failed') reject(new Error(message.reason));
      if (message.kind !== 'ready') return;
      const { name, kubeconfigPath, kubectlPath } = message;
      resolve({ name, kubeconfigPath, kubectlPath, kill: (signal) => void child.kill(signal) });
    });
  });
}

/** The slot in a cluster's name. */
export function slotOf(name: string): number {
  return Number(name.replace('bq', ''));
}
