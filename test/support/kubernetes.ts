import { RestClient } from '../../operator/kube/rest-client.ts';
import { createTransport, loadKubeConfig, type Transport } from '../../operator/kube/transport.ts';
import type { KubeObject, Resource } from '../../operator/ports.ts';

export const CONFIG_MAPS: Resource = { group: '', version: 'v1', plural: 'configmaps' };
export const NAMESPACES: Resource = { group: '', version: 'v1', plural: 'namespaces' };
export const SECRETS: Resource = { group: '', version: 'v1', plural: 'secrets' };
export const SERVICE_ACCOUNTS: Resource = { group: '', version: 'v1', plural: 'serviceaccounts' };
export const JOBS: Resource = { group: 'batch', version: 'v1', plural: 'jobs' };

/** A client of its own connections; close the transport when done. */
export function connect(
  kubeconfigPath: string,
  connections?: number,
): { client: RestClient; transport: Transport } {
  const transport = createTransport(
    loadKubeConfig({ kubeconfigPath }),
    connections === undefined ? {} : { connections },
  );
  return { client: new RestClient(transport), transport };
}

/** A namespace that no other test has; returns its name. */
export async function createNamespace(client: RestClient, prefix: string): Promise<string> {
  const name = `${prefix}-${process.pid.toString(36)}-${Date.now().toString(36)}`;
  await client.create(NAMESPACES, undefined, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
  return name;
}

export function aConfigMap(name: string, labels: Record<string, string> = {}): KubeObject {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, labels }, data: { text: name } };
}
