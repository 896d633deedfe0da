/** The Kubernetes and etcd binaries: where they come from, tried in order of cost. */
import { createHash } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { BUILD_FLAGS, buildBinaries, goVersion } from './build.ts';
import { cacheDirectory } from './cache.ts';
import { downloadBinaries } from './download.ts';
import { withLock } from './lock.ts';
import type { ClusterSize } from './slots.ts';
import { isExecutable } from './tools.ts';
import { readVersions, TOOL_MODULES, toolModuleDirectory } from './versions.ts';

export interface BinarySearch {
  readonly size: ClusterSize;
  readonly progress: (line: string) => void;
  /** Environment of commands that run long, so that they end with this process. */
  readonly env: NodeJS.ProcessEnv;
  readonly signal: AbortSignal | undefined;
}

const CONTROL_PLANE_BINARIES = ['etcd', 'kube-apiserver', 'kube-controller-manager', 'kubectl'];
const NODE_BINARIES = [...CONTROL_PLANE_BINARIES, 'kube-scheduler', 'kubelet', 'kube-proxy'];

/** The binaries that a cluster of this size runs, kubectl included. */
function binariesFor(size: ClusterSize): readonly string[] {
  return size === 'node' ? NODE_BINARIES : CONTROL_PLANE_BINARIES;
}

/**
 * A directory with all binaries for this size: KUBEBUILDER_ASSETS, the user's cache, the official downloads, or a
 * build from the committed Go modules. What is fetched or built goes into the cache, complete or not at all. Throws
 * with every reason when nothing works.
 */
export async function findBinaries(search: BinarySearch): Promise<string> {
  const names = binariesFor(search.size);
  const assets = process.env.KUBEBUILDER_ASSETS;
  if (assets !== undefined && assets !== '') {
    const missing = missingIn(assets, names);
    if (missing.length === 0) return assets;
    search.progress(`KUBEBUILDER_ASSETS=${assets} lacks ${missing.join(', ')}; looking elsewhere`);
  }
  const versions = await readVersions();
  const root = path.join(cacheDirectory(), 'kubernetes');
  const downloaded = path.join(root, `${versions.kubernetes}-etcd-${versions.etcd}-${process.arch}`);
  const go = await goVersion();
  const built = go === undefined ? undefined : path.join(root, await buildKey(go));
  const complete = () =>
    [downloaded, built].find((found) => found !== undefined && missingIn(found, names).length === 0);
  const cached = complete();
  if (cached !== undefined) return cached;
  await mkdir(root, { recursive: true });
  return withLock(path.join(root, 'lock'), search, async () => {
    // Whoever held the lock before us may have done the work.
    const done = complete();
    if (done !== undefined) return done;
    const refusal = await downloadBinaries({
      versions,
      names: missingIn(downloaded, names),
      directory: downloaded,
      ...search,
    });
    if (refusal === undefined) return downloaded;
    if (built === undefined)
      throw new Error(
        `no Kubernetes binaries: ${refusal}; to build them install Go 1.26 or later (https://go.dev/dl)`,
      );
    search.progress(`no downloads (${refusal}): building from source, about 10 minutes the first time`);
    await buildBinaries({ versions, directory: built, ...search });
    return built;
  });
}

/** Everything that decides the bytes of a build. */
async function buildKey(go: string): Promise<string> {
  const hash = createHash('sha256').update(`${go} ${process.arch} ${BUILD_FLAGS.join(' ')}`);
  for (const name of TOOL_MODULES)
    for (const file of ['go.mod', 'go.sum'])
      hash.update(await readFile(path.join(toolModuleDirectory(name), file)));
  return `built-${hash.digest('hex').slice(0, 16)}`;
}

function missingIn(directory: string, names: readonly string[]): string[] {
  return names.filter((name) => !isExecutable(path.join(directory, name)));
}
