/** Kubeconfig files that need no other file. */
import type { KeyPair } from './certificate.ts';

export interface KubeconfigFields {
  /** Names the cluster, the user and the context. */
  readonly name: string;
  /** `https://host:port`. */
  readonly server: string;
  /** Certificate of the authority, PEM. */
  readonly authority: string;
  readonly client: KeyPair;
}

/** A kubeconfig with one context, as JSON (which is YAML); certificates and keys are inside it. */
export function buildKubeconfig({ name, server, authority, client }: KubeconfigFields): string {
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name, cluster: { server, 'certificate-authority-data': base64(authority) } }],
    users: [
      {
        name,
        user: {
          'client-certificate-data': base64(client.certificate),
          'client-key-data': base64(client.key),
        },
      },
    ],
    contexts: [{ name, context: { cluster: name, user: name } }],
    'current-context': name,
  };
  return `${JSON.stringify(config, undefined, 2)}\n`;
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}
