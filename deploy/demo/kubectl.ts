import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface Kubectl {
  /** Runs `kubectl ARGS…` and returns what it printed; rejects with what it said on failure. */
  (...args: readonly string[]): Promise<string>;
}

/** A kubectl for one cluster. */
export function kubectlFor(kubectlPath: string, kubeconfigPath: string): Kubectl {
  return async (...args) => {
    const { stdout } = await run(kubectlPath, args, {
      env: { ...process.env, KUBECONFIG: kubeconfigPath },
      maxBuffer: 64 * 1024 * 1024,
    });
    return stdout;
  };
}

/** Applies manifests given as text. */
export async function applyText(
  kubectlPath: string,
  kubeconfigPath: string,
  manifest: string,
): Promise<void> {
  const env = { ...process.env, KUBECONFIG: kubeconfigPath };
  await new Promise<void>((resolve, reject) => {
    const child = execFile(kubectlPath, ['apply', '-f', '-'], { env }, (error) =>
      error ? reject(error) : resolve(),
    );
    child.stdin?.end(manifest);
  });
}
