import { defaultProvider } from '@aws-sdk/credential-provider-node';
import type { AwsCredentials } from './aws-identities.ts';

/**
 * The operator's own credentials, wherever the SDK finds them: environment, IRSA, EKS Pod Identity, and at last the node's
 * role. Kept until shortly before they expire; nothing is looked for before the first call.
 */
export function ownCredentials(region: string): () => Promise<AwsCredentials> {
  const provider = defaultProvider({ clientConfig: { region } });
  return async () => await provider();
}
