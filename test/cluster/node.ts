/** The larger size: the control plane plus one real node, in private namespaces. */
import { mkdir, statfs, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import type { SlotAddresses } from './addresses.ts';
import { addressesOfSlot } from './addresses.ts';
import { readApi } from './api-probe.ts';
import type { CertificateRequest } from './certificate.ts';
import { makeCgroups } from './cgroups.ts';
import type { ClusterLayout } from './components.ts';
import { apiServer, controllerManager, etcd, kubelet, kubeProxy, scheduler } from './components.ts';
import { cniConfig, containerdConfig, kubeletConfig, kubeProxyConfig } from './config-files.ts';
import { containerdMajorVersion, importArchive, pingContainerd } from './containerd.ts';
import type { Running, StartContext } from './control-plane.ts';
import { apiIsReady, defaultAccountExists, makeCredentials } from './control-plane.ts';
import { writePauseArchive } from './images.ts';
import { makeNamespaces } from './namespaces.ts';
import { connectNode } from './network.ts';
import { Processes } from './processes.ts';
import { findTool } from './tools.ts';
import { waitFor } from './wait.ts';

const NODE_NAME = 'node';
const PAUSE_IMAGE = 'localhost/batchqueue-pause:1';

/** The ports are private to the node's network, so the usual ones are free. */
const PORTS = { etcd: 2379, etcdPeer: 2380, apiServer: 6443, controllerManager: 10257 };

/** On a busy two-core machine readiness took 15 s, so a minute means that something is wrong. */
const READY_WITHIN_MS = 60_000;

/**
 * Starts everything and returns when the node is Ready, pods can be created in `default`, and the images are loaded.
 * Needs root. On failure the janitor removes what was made.
 */
export async function startNode(context: StartContext, cniDirectory: string): Promise<Running> {
  const { directory, slot, progress, signal } = context;
  const addresses = addressesOfSlot(slot);
  const layout: ClusterLayout = {
    directory,
    binaries: context.binaries,
    ports: PORTS,
    advertiseAddress: addresses.nodeAddress,
    serviceNetwork: addresses.serviceNetwork,
  };
  const [{ holderPid, enter }, access, pauseArchive] = await Promise.all([
    makeNamespaces(directory),
    makeCredentials(layout, {
      server: `https://${addresses.nodeAddress}:6443`,
      requests: certificates(addresses),
    }),
    writePauseArchive(directory, PAUSE_IMAGE),
    writeConfigFiles(context, addresses, cniDirectory),
    makeCgroups(addresses.name, directory),
  ]);
  await connectNode(addresses, holderPid);
  const processes = new Processes(directory, enter);
  processes.start(etcd(layout));
  processes.start({
    name: 'containerd',
    command: findTool('containerd'),
    args: [`--config=${directory}/containerd.toml`],
  });
  processes.start(apiServer(layout));
  const images = loadImages(context, pauseArchive);
  images.catch(() => undefined);
  await processes.whileAlive(apiIsReady(access, signal));
  progress('API server ready');
  for (const program of [
    controllerManager(layout),
    scheduler(layout),
    kubelet(layout, NODE_NAME),
    kubeProxy(layout),
  ])
    processes.start(program);
  const wait = { timeoutMs: READY_WITHIN_MS, signal };
  await processes.whileAlive(waitFor(() => nodeIsReady(access), { what: 'node Ready', ...wait }));
  progress('node Ready');
  await processes.whileAlive(Promise.all([defaultAccountExists(access, signal), images]));
  const { hostAddress, nodeAddress } = addresses;
  return { processes, access, hostAddress, nodeAddress };
}

const nodeSchema = z.object({
  status: z.object({ conditions: z.array(z.object({ type: z.string(), status: z.string() })) }),
});

async function nodeIsReady(access: Parameters<typeof readApi>[0]): Promise<boolean> {
  const node = nodeSchema.parse(JSON.parse(await readApi(access, `/api/v1/nodes/${NODE_NAME}`)));
  return node.status.conditions.some(({ type, status }) => type === 'Ready' && status === 'True');
}

async function loadImages(
  { directory, images, progress, signal }: StartContext,
  pause: string,
): Promise<void> {
  await waitFor(() => pingContainerd(directory), { what: 'containerd', timeoutMs: READY_WITHIN_MS, signal });
  for (const archive of [pause, ...images]) await importArchive(directory, archive);
  if (images.length > 0) progress(`${images.length} image archive(s) loaded`);
}

async function writeConfigFiles(
  context: StartContext,
  addresses: SlotAddresses,
  cniDirectory: string,
): Promise<void> {
  const { directory } = context;
  const files = { directory, addresses, nodeName: NODE_NAME };
  const texts: Record<string, string> = {
    'kubelet.yaml': kubeletConfig(files),
    'kube-proxy.yaml': kubeProxyConfig(files),
    'containerd.toml': containerdConfig({
      directory,
      cniDirectory,
      majorVersion: await containerdMajorVersion(),
      snapshotter: (await isOverlay(directory)) ? 'native' : 'overlayfs',
      pauseImage: PAUSE_IMAGE,
    }),
    'resolv.conf': `nameserver ${addresses.nodeAddress}\n`,
    'cni/10-bridge.conflist': cniConfig(files),
  };
  await mkdir(path.join(directory, 'cni'), { recursive: true });
  await Promise.all(Object.entries(texts).map(([name, text]) => writeFile(path.join(directory, name), text)));
}

/** Overlay on overlay does not work (this machine is a container itself); copying layers does. */
async function isOverlay(directory: string): Promise<boolean> {
  const OVERLAYFS_SUPER_MAGIC = 0x794c7630; // linux/magic.h
  return (await statfs(directory)).type === OVERLAYFS_SUPER_MAGIC;
}

function certificates({ nodeAddress, hostAddress, apiServiceAddress }: SlotAddresses): CertificateRequest[] {
  const node = { organization: 'system:nodes', commonName: `system:node:${NODE_NAME}` };
  return [
    {
      name: 'apiserver',
      subject: { commonName: 'kube-apiserver' },
      usage: 'server',
      dnsNames: [
        'kubernetes',
        'kubernetes.default',
        'kubernetes.default.svc',
        'kubernetes.default.svc.cluster.local',
        'localhost',
      ],
      addresses: ['127.0.0.1', apiServiceAddress, nodeAddress, hostAddress],
    },
    {
      name: 'apiserver-kubelet-client',
      subject: { organization: 'system:masters', commonName: 'kube-apiserver-kubelet-client' },
      usage: 'client',
    },
    { name: 'scheduler', subject: { commonName: 'system:kube-scheduler' }, usage: 'client' },
    { name: 'kube-proxy', subject: { commonName: 'system:kube-proxy' }, usage: 'client' },
    { name: 'kubelet', subject: node, usage: 'client' },
    {
      name: 'kubelet-serving',
      subject: node,
      usage: 'server',
      dnsNames: [NODE_NAME],
      addresses: [nodeAddress, '127.0.0.1'],
    },
  ];
}
