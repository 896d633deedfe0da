/** Packages of Debian and its relatives. */
import { existsSync } from 'node:fs';
import { run } from './run.ts';
import { lookUpTool } from './tools.ts';

/** True when packages can be installed with apt-get. */
export function isDebianLike(): boolean {
  return existsSync('/etc/debian_version') && lookUpTool('apt-get') !== undefined;
}

/**
 * Installs packages without their recommendations; needs root. When the first try fails, the package lists may be
 * missing or old, so they are fetched and it is tried once more. Throws with apt's output when that fails too.
 */
export async function installPackages(packages: readonly string[], signal?: AbortSignal): Promise<void> {
  // Another installation may be running: wait for its lock instead of failing.
  const apt = ['-q', '-y', '-o', 'DPkg::Lock::Timeout=120'];
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const install = () =>
    run('apt-get', ['install', ...apt, '--no-install-recommends', ...packages], { env, signal });
  try {
    await install();
  } catch {
    signal?.throwIfAborted();
    await run('apt-get', ['update', ...apt], { env, signal });
    await install();
  }
}
