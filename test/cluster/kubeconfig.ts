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

/** Reads back what `buildKubeconfig` wrote. Throws when a part is missing. */
export function parseKubeconfig(text: string): { server: string; authority: string; client: KeyPair } {
  const find = (field: string): string => {
    const value = new RegExp(`"${field}": "([^"]+)"`).exec(text)?.[1];
    if (value === undefined) throw new Error(`the kubeconfig has no ${field}`);
    return value;
  };
  const pem = (field: string) => Buffer.from(find(field), 'base64').toString();
  return {
    server: find('server'),
    authority: pem('certificate-authority-data'),
    client: { certificate: pem('client-certificate-data'), key: pem('client-key-data') },
  };
}
