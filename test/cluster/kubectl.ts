import { execFile } from 'node:child_process';
import type { Cluster } from './cluster.ts';

/** What kubectl answered; a refusal is an outcome, not an error. */
export interface Outcome {
  readonly ok: boolean;
  readonly stdout: string;
  readonly stderr: string;
}

/** kubectl for one cluster, as its administrator. */
export interface Kubectl {
  /** Runs it; `input` goes to its standard input. Never rejects. */
  attempt(args: readonly string[], input?: string): Promise<Outcome>;
  /** Runs it and returns what it printed; throws what it said when it failed. */
  run(...args: readonly string[]): Promise<string>;
  /** `kubectl apply` of manifests as text, YAML or JSON; throws what was said when they were refused. */
  apply(manifests: string): Promise<void>;
}

/** The cluster's own kubectl with its kubeconfig, whatever the environment says. */
export function kubectlFor({
  kubectlPath,
  kubeconfigPath,
}: Pick<Cluster, 'kubectlPath' | 'kubeconfigPath'>): Kubectl {
  const options = { env: { ...process.env, KUBECONFIG: kubeconfigPath }, maxBuffer: 64 * 1024 * 1024 };
  const attempt = (args: readonly string[], input = '') =>
    new Promise<Outcome>((resolve) => {
      const child = execFile(kubectlPath, args, options, (error, stdout, stderr) => {
        resolve({ ok: error === null, stdout, stderr });
      });
      child.stdin?.end(input);
    });
  const must = async (args: readonly string[], input?: string) => {
    const { ok, stdout, stderr } = await attempt(args, input);
    if (!ok) throw new Error(`kubectl ${args.join(' ')}: ${stderr}`);
    return stdout;
  };
  return {
    attempt,
    run: (...args) => must(args),
    apply: async (manifests) => {
      await must(['apply', '-f', '-'], manifests);
    },
  };
}
