/** Which Kubernetes and etcd: what the Go tool modules committed with the project ask for. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export interface Versions {
  /** `v1.36.4` */
  readonly kubernetes: string;
  /** `v3.6.14` */
  readonly etcd: string;
}

/** Etcd has a module of its own because it needs newer versions of what both depend on. */
export const TOOL_MODULES = ['kubernetes', 'etcd'] as const;
export type ToolModule = (typeof TOOL_MODULES)[number];

/** The directory of the Go module that builds etcd or Kubernetes. */
export function toolModuleDirectory(name: ToolModule): string {
  return fileURLToPath(new URL(`./tools/${name}`, import.meta.url));
}

/** The versions of this checkout. */
export async function readVersions(): Promise<Versions> {
  const goMod = (name: ToolModule) => readFile(path.join(toolModuleDirectory(name), 'go.mod'), 'utf8');
  return {
    kubernetes: requiredVersion(await goMod('kubernetes'), 'k8s.io/kubernetes'),
    etcd: requiredVersion(await goMod('etcd'), 'go.etcd.io/etcd/server/v3'),
  };
}

/** The version of `module` that a go.mod file requires. Throws when it does not. */
export function requiredVersion(goMod: string, module: string): string {
  for (const line of goMod.split('\n')) {
    const [name, version] = line.replace('require ', '').trim().split(/\s+/);
    if (name === module && version?.startsWith('v')) return version;
  }
  throw new Error(`go.mod does not require ${module}`);
}
