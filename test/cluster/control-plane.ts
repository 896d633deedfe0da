/** The smaller size (etcd, API server, controller manager), and what both sizes share. */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { addressesOfSlot } from './addresses.ts';
import type { ApiAccess } from './api-probe.ts';
import { readApi } from './api-probe.ts';
import type { CertificateRequest } from './certificate.ts';
import type { ClusterLayout } from './components.ts';
import { apiServer, controllerManager, etcd } from './components.ts';
import { buildKubeconfig } from './kubeconfig.ts';
import { makePki } from './pki.ts';
import { freePorts } from './ports.ts';
import { Processes } from './processes.ts';
import { waitFor } from './wait.ts';

/** What starting a cluster needs, whatever its size. */
export interface StartContext {
  readonly slot: number;
  readonly directory: string;
  readonly binaries: string;
  readonly images: readonly string[];
  readonly progress: (line: string) => void;
  readonly signal: AbortSignal | undefined;
}

/** A cluster that is up. */
export interface Running {
  readonly processes: Processes;
  readonly access: ApiAccess;
  /** This machine, as pods see it. */
  readonly hostAddress: string;
  readonly nodeAddress?: string;
}

/** Times four of what a busy two-core machine took. */
const READY_WITHIN_MS = 60_000;

/**
 * Starts a control plane on free ports of 127.0.0.1 and returns when Jobs and Pods can be created in `default`.
 * Needs no privilege. On failure the janitor removes what was made.
 */
export async function startControlPlane(context: StartContext): Promise<Running> {
  const { directory, progress, signal } = context;
  const ports = await freePorts(context.slot);
  const layout: ClusterLayout = {
    directory,
    binaries: context.binaries,
    ports,
    serviceNetwork: addressesOfSlot(context.slot).serviceNetwork,
  };
  const access = await makeCredentials(layout, {
    server: `https://127.0.0.1:${ports.apiServer}`,
    requests: [
      {
        name: 'apiserver',
        subject: { commonName: 'kube-apiserver' },
        usage: 'server',
        dnsNames: ['localhost'],
        addresses: ['127.0.0.1'],
      },
    ],
  });
  const processes = new Processes(directory);
  processes.start(etcd(layout));
  processes.start(apiServer(layout));
  await processes.whileAlive(apiIsReady(access, signal));
  progress('API server ready');
  processes.start(controllerManager(layout));
  await processes.whileAlive(defaultAccountExists(access, signal));
  return { processes, access, hostAddress: '127.0.0.1' };
}

/** The users of both sizes, besides the servers' own certificates. */
const COMMON_REQUESTS: readonly CertificateRequest[] = [
  {
    name: 'admin',
    subject: { organization: 'system:masters', commonName: 'kubernetes-admin' },
    usage: 'client',
  },
  { name: 'controller-manager', subject: { commonName: 'system:kube-controller-manager' }, usage: 'client' },
];

/** Writes certificates to `pki/` and `<user>.kubeconfig` for every client; returns the administrator's access. */
export async function makeCredentials(
  { directory }: ClusterLayout,
  { server, requests }: { server: string; requests: readonly CertificateRequest[] },
): Promise<ApiAccess> {
  const all = [...COMMON_REQUESTS, ...requests];
  const pkiDirectory = path.join(directory, 'pki');
  await mkdir(pkiDirectory, { recursive: true });
  const { authority, pairs } = await makePki(pkiDirectory, all);
  const clients = all.filter(({ usage }) => usage === 'client').map(({ name }) => name);
  await Promise.all(
    clients.map((name) => {
      const client = pairOf(pairs, name);
      const text = buildKubeconfig({ name: path.basename(directory), server, authority, client });
      return writeFile(path.join(directory, `${name}.kubeconfig`), text, { mode: 0o600 });
    }),
  );
  return { server, authority, client: pairOf(pairs, 'admin') };
}

/** Returns when the API server serves. */
export async function apiIsReady(access: ApiAccess, signal: AbortSignal | undefined): Promise<void> {
  const options = { what: 'API server /readyz', timeoutMs: READY_WITHIN_MS, signal };
  await waitFor(async () => (await readApi(access, '/readyz')) === 'ok', options);
}

/** Returns when pods may be created in `default`: admission refuses them until their ServiceAccount exists. */
export async function defaultAccountExists(
  access: ApiAccess,
  signal: AbortSignal | undefined,
): Promise<void> {
  const account = '/api/v1/namespaces/default/serviceaccounts/default';
  const options = { what: 'ServiceAccount default/default', timeoutMs: READY_WITHIN_MS, signal };
  await waitFor(async () => (await readApi(access, account)) !== '', options);
}

function pairOf<T>(pairs: Readonly<Record<string, T>>, name: string): T {
  const pair = pairs[name];
  if (pair === undefined) throw new Error(`no certificate ${name}`);
  return pair;
}
