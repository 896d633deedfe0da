/** What a machine must have before a cluster can start on it. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { installPackages, isDebianLike } from './debian.ts';
import type { ClusterSize } from './slots.ts';
import { lookUpTool } from './tools.ts';

/** What is known about a machine before anything is tried. */
export interface Machine {
  readonly platform: NodeJS.Platform;
  readonly architecture: string;
  readonly isRoot: boolean;
}

/** This machine. */
export function thisMachine(): Machine {
  return { platform: process.platform, architecture: process.arch, isRoot: process.getuid?.() === 0 };
}

/**
 * Why a cluster of this size cannot run on such a machine at all, as one sentence that says what to do; undefined
 * when it can.
 */
export function unsupportedReason(size: ClusterSize, machine: Machine): string | undefined {
  if (machine.platform !== 'linux')
    return `the local Kubernetes needs Linux, and this is ${machine.platform}; run it in a Linux VM or container`;
  if (machine.architecture !== 'x64' && machine.architecture !== 'arm64')
    return `the local Kubernetes needs x64 or arm64, and this is ${machine.architecture}`;
  if (size === 'node' && !machine.isRoot)
    return 'a node needs root (namespaces, cgroups, mounts); run as root or with sudo, or use --size control-plane';
  return undefined;
}

/** A program or directory that a node needs, and the Debian package that has it. */
interface Requirement {
  readonly what: string;
  readonly debianPackage: string;
  isThere(): boolean;
}

const CNI_PLUGINS = ['bridge', 'host-local', 'loopback'];

const NODE_REQUIREMENTS: readonly Requirement[] = [
  tool('containerd', 'containerd'),
  tool('ctr', 'containerd'),
  tool('runc', 'runc'),
  tool('iptables', 'iptables'),
  tool('ip', 'iproute2'),
  tool('mount', 'mount'),
  tool('nsenter', 'util-linux'),
  tool('unshare', 'util-linux'),
  {
    what: `the CNI plugins ${CNI_PLUGINS.join(', ')}`,
    debianPackage: 'containernetworking-plugins',
    isThere: () => findCniDirectory() !== undefined,
  },
];

/**
 * Makes sure that everything a node needs is installed and returns the directory of the CNI plugins. On a Debian-like
 * system it installs what is missing, after saying so; elsewhere it throws with the list of what to install.
 */
export async function provideNodeTools(
  progress: (line: string) => void,
  signal?: AbortSignal,
): Promise<string> {
  const missing = NODE_REQUIREMENTS.filter((requirement) => !requirement.isThere());
  if (missing.length > 0) {
    const names = missing.map(({ what }) => what).join(', ');
    if (!isDebianLike())
      throw new Error(
        `a node needs ${names}: install them so that they are on PATH (CNI plugins in /opt/cni/bin)`,
      );
    const packages = [...new Set(missing.map(({ debianPackage }) => debianPackage))];
    progress(`not installed: ${names}; installing the Debian packages ${packages.join(' ')}`);
    await installPackages(packages, signal);
  }
  const stillMissing = NODE_REQUIREMENTS.filter((requirement) => !requirement.isThere()).map(
    ({ what }) => what,
  );
  const cniDirectory = findCniDirectory();
  if (cniDirectory === undefined || stillMissing.length > 0)
    throw new Error(`still not found after installing packages: ${stillMissing.join(', ')}`);
  return cniDirectory;
}

/** CNI_PATH first, then where distributions and the upstream tarball put the plugins. */
function findCniDirectory(): string | undefined {
  const directories = [
    ...(process.env.CNI_PATH ?? '').split(':'),
    '/opt/cni/bin',
    '/usr/lib/cni',
    '/usr/libexec/cni',
  ];
  return directories
    .filter((directory) => directory !== '')
    .find((directory) => CNI_PLUGINS.every((plugin) => existsSync(path.join(directory, plugin))));
}

function tool(name: string, debianPackage: string): Requirement {
  return { what: name, debianPackage, isThere: () => lookUpTool(name) !== undefined };
}
