/** Building Kubernetes and etcd from the Go modules committed with the project. */
import { mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { run } from './run.ts';
import { lookUpTool } from './tools.ts';
import type { ToolModule, Versions } from './versions.ts';
import { toolModuleDirectory } from './versions.ts';

/** The tags of the official builds; no symbol tables; no paths of this machine in the result. */
export const BUILD_FLAGS: readonly string[] = ['-trimpath', '-tags=selinux,notest,grpcnotrace'];

/** Both go.mod files say `go 1.26.0`. */
const MINIMUM_GO = [1, 26] as const;

const PROGRESS_EVERY_MS = 15_000;

export interface Build {
  readonly versions: Versions;
  /** Where the binaries go: appears complete or not at all. */
  readonly directory: string;
  readonly progress: (line: string) => void;
  readonly env: NodeJS.ProcessEnv;
  readonly signal: AbortSignal | undefined;
}

/** The version of Go on PATH as `go1.26.8`; undefined when there is none or it is too old. */
export async function goVersion(): Promise<string | undefined> {
  const go = lookUpTool('go');
  if (go === undefined) return undefined;
  const version = (
    await run(go, ['env', 'GOVERSION'], { env: { ...process.env, GOTOOLCHAIN: 'local' } })
  ).trim();
  return isNewEnough(version) ? version : undefined;
}

/** True when `go1.26.8` or the like can build the tool modules. */
export function isNewEnough(version: string): boolean {
  const [major = 0, minor = 0] = (/^go(\d+)\.(\d+)/.exec(version) ?? []).slice(1).map(Number);
  return major > MINIMUM_GO[0] || (major === MINIMUM_GO[0] && minor >= MINIMUM_GO[1]);
}

/** Builds all binaries, about ten minutes on two cores with a cold Go cache and half a minute with a warm one. */
export async function buildBinaries(build: Build): Promise<void> {
  const started = performance.now();
  await removeUnfinished(build.directory);
  const temporary = await mkdtemp(`${build.directory}.`);
  const seen = { packages: 0 };
  const timer = setInterval(() => void report(build, temporary, seen.packages, started), PROGRESS_EVERY_MS);
  try {
    const go = (module: ToolModule, args: readonly string[]) =>
      run(lookUpTool('go') ?? 'go', ['build', '-v', ...BUILD_FLAGS, ...args], {
        cwd: toolModuleDirectory(module),
        env: { ...build.env, CGO_ENABLED: '0', GOTOOLCHAIN: 'local', GOFLAGS: '' },
        signal: build.signal,
        onLine: () => {
          seen.packages += 1;
        },
      });
    await go('kubernetes', [
      `-ldflags=${versionFlags(build.versions.kubernetes)}`,
      '-o',
      `${temporary}/`,
      'tool',
    ]);
    await go('etcd', ['-ldflags=-s -w', '-o', `${temporary}/etcd`, 'go.etcd.io/etcd/server/v3']);
    await rm(build.directory, { recursive: true, force: true });
    await rename(temporary, build.directory);
  } finally {
    clearInterval(timer);
    await rm(temporary, { recursive: true, force: true });
  }
  build.progress(
    `built Kubernetes ${build.versions.kubernetes} and etcd ${build.versions.etcd} in ${elapsed(started)}`,
  );
}

/** What killed builds left; the caller's lock says that no other build is running. */
async function removeUnfinished(directory: string): Promise<void> {
  const parent = path.dirname(directory);
  for (const entry of await readdir(parent))
    if (entry.startsWith(`${path.basename(directory)}.`))
      await rm(path.join(parent, entry), { recursive: true });
}

/** Without these every component reports a placeholder as its version, and clients refuse it. */
export function versionFlags(version: string): string {
  const [major, minor] = version.slice(1).split('.');
  const fields = {
    gitVersion: version,
    gitMajor: major,
    gitMinor: minor,
    gitCommit: 'unknown',
    gitTreeState: 'clean',
    buildDate: '1970-01-01T00:00:00Z',
  };
  const flags = ['k8s.io/component-base/version', 'k8s.io/client-go/pkg/version'].flatMap((name) =>
    Object.entries(fields).map(([field, value]) => `-X ${name}.${field}=${value}`),
  );
  return ['-s -w', ...flags].join(' ');
}

async function report(build: Build, temporary: string, packages: number, started: number): Promise<void> {
  const finished = await readdir(temporary).catch(() => []);
  const names = finished.length === 0 ? 'no binary finished yet' : `finished: ${finished.join(', ')}`;
  build.progress(`building, ${elapsed(started)}: ${packages} packages compiled, ${names}`);
}

function elapsed(startedAt: number): string {
  const seconds = Math.round((performance.now() - startedAt) / 1000);
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}
