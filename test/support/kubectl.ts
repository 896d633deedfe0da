import { execFile } from 'node:child_process';
import { integrationCluster } from '../jest/clusters.ts';

/** What a command line tool answered; a refusal is an outcome, not an error. */
export interface Outcome {
  readonly ok: boolean;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs kubectl against the integration cluster as its administrator. `input` goes to its standard input. */
export function tryKubectl(args: readonly string[], input?: string): Promise<Outcome> {
  const { kubeconfigPath, kubectlPath } = integrationCluster();
  const options = { env: { ...process.env, KUBECONFIG: kubeconfigPath }, maxBuffer: 64 * 1024 * 1024 };
  return new Promise((resolve) => {
    const child = execFile(kubectlPath, args, options, (error, stdout, stderr) => {
      resolve({ ok: error === null, stdout, stderr });
    });
    child.stdin?.end(input ?? '');
  });
}

/** The same, returning standard output; throws what kubectl said when it failed. */
export async function kubectl(...args: readonly string[]): Promise<string> {
  const { ok, stdout, stderr } = await tryKubectl(args);
  if (!ok) throw new Error(`kubectl ${args.join(' ')}: ${stderr}`);
  return stdout;
}

/** `kubectl apply` of an object, as a user does it; throws what kubectl said when it was refused. */
export async function apply(object: object): Promise<void> {
  const { ok, stderr } = await tryKubectl(['apply', '-f', '-'], JSON.stringify(object));
  if (!ok) throw new Error(`kubectl apply: ${stderr}`);
}
