/** The container runtime of a node. */

import { containerdSocket } from './config-files.ts';
import { markedEnvironment } from './processes.ts';
import { run } from './run.ts';
import { findTool } from './tools.ts';

/** The major version of the installed containerd (1 or 2). Throws when it cannot be told. */
export async function containerdMajorVersion(): Promise<number> {
  return parseContainerdVersion(await run(findTool('containerd'), ['--version']));
}

/** Reads `containerd github.com/containerd/containerd 1.6.20~ds1 ...` or `... v2.1.4 ...`. */
export function parseContainerdVersion(output: string): number {
  const major = /\sv?(\d+)\.\d+\.\d+/.exec(output)?.[1];
  if (major === undefined) throw new Error(`cannot read containerd's version from: ${output.trim()}`);
  return Number(major);
}

/** Returns when containerd of this cluster answers; throws when it does not yet. */
export async function pingContainerd(directory: string): Promise<true> {
  await ctr(directory, ['version']);
  return true;
}

/**
 * Loads an image archive (docker-archive or OCI layout). When this returns pods can use its tags; importing a tag
 * again replaces it.
 */
export async function importArchive(directory: string, archivePath: string): Promise<void> {
  await ctr(directory, ['-n', 'k8s.io', 'images', 'import', archivePath]);
}

/** The socket is in the file system, so no namespace has to be entered. */
async function ctr(directory: string, args: readonly string[]): Promise<void> {
  await run(findTool('ctr'), ['-a', containerdSocket(directory), ...args], {
    env: markedEnvironment(directory),
  });
}
