import { kubectlFor, type Outcome } from '../cluster/kubectl.ts';
import { integrationCluster } from '../jest/clusters.ts';

/** Runs kubectl against the integration cluster. `input` goes to its standard input. Never rejects. */
export function tryKubectl(args: readonly string[], input?: string): Promise<Outcome> {
  return kubectlFor(integrationCluster()).attempt(args, input);
}

/** The same, returning standard output; throws what kubectl said when it failed. */
export function kubectl(...args: readonly string[]): Promise<string> {
  return kubectlFor(integrationCluster()).run(...args);
}

/** `kubectl apply` of an object, as a user does it; throws what kubectl said when it was refused. */
export function apply(object: object): Promise<void> {
  return kubectlFor(integrationCluster()).apply(JSON.stringify(object));
}
