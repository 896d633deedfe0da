/**
 * The cgroup below which a node's pods live. On version 1 that is one directory per controller; on version 2 one
 * directory, and the controllers must be switched on in the root for it.
 */
import { existsSync } from 'node:fs';
import { appendFile, mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { waitFor } from './wait.ts';

const ROOT = '/sys/fs/cgroup';

/** The version 1 hierarchies in which kubelet and runc make directories. */
const V1_CONTROLLERS = [
  'cpu',
  'cpuacct',
  'cpuset',
  'memory',
  'pids',
  'systemd',
  'blkio',
  'devices',
  'freezer',
];

/** The version 2 controllers that kubelet asks for. */
const V2_CONTROLLERS = ['cpu', 'cpuset', 'memory', 'pids', 'hugetlb', 'io'];

/** File in the run directory that lists the controllers switched on in the root, for teardown. */
const SWITCHED_ON = 'cgroup-controllers';

/** True on a machine with the unified hierarchy. */
function isCgroupV2(): boolean {
  return existsSync(`${ROOT}/cgroup.controllers`);
}

/** Makes the cgroup `name`. A crash half-way leaves directories that `removeCgroups` finds. */
export async function makeCgroups(name: string, directory: string): Promise<void> {
  if (isCgroupV2()) await makeV2(name, directory);
  else await makeV1(name);
}

/** When this returns there is no cgroup `name` nor anything below it. Throws when a process in one will not go. */
export async function removeCgroups(name: string, directory: string): Promise<void> {
  const tops = isCgroupV2()
    ? [path.join(ROOT, name)]
    : (await v1Hierarchies()).map((top) => path.join(top, name));
  await waitFor(
    async () => {
      // An rmdir fails with EBUSY until the kernel has let go of the last process.
      await Promise.all(tops.map((top) => removeTree(top).catch(() => undefined)));
      return tops.every((top) => !existsSync(top));
    },
    { what: `removing the cgroups ${name}`, timeoutMs: 10_000 },
  );
  await switchOff(directory);
}

async function makeV1(name: string): Promise<void> {
  const hierarchies = await v1Hierarchies();
  for (const controller of V1_CONTROLLERS) {
    const hierarchy = path.join(ROOT, controller);
    if (hierarchies.includes(hierarchy)) await mkdir(path.join(hierarchy, name), { recursive: true });
  }
  // A new cpuset is empty, and no process can join an empty one.
  for (const file of ['cpuset.cpus', 'cpuset.mems']) {
    const parent = path.join(ROOT, 'cpuset', file);
    if (existsSync(parent)) await writeFile(path.join(ROOT, 'cpuset', name, file), await readFile(parent));
  }
}

async function makeV2(name: string, directory: string): Promise<void> {
  const [available, enabled] = await Promise.all(
    ['cgroup.controllers', 'cgroup.subtree_control'].map((file) => readWords(path.join(ROOT, file))),
  );
  for (const controller of V2_CONTROLLERS) {
    if (!available?.includes(controller) || enabled?.includes(controller)) continue;
    await appendFile(path.join(directory, SWITCHED_ON), `${controller}\n`);
    await writeFile(path.join(ROOT, 'cgroup.subtree_control'), `+${controller}`);
  }
  await mkdir(path.join(ROOT, name), { recursive: true });
}

/** The root keeps a controller that another cgroup still uses: the kernel answers EBUSY and that is right. */
async function switchOff(directory: string): Promise<void> {
  for (const controller of await readWords(path.join(directory, SWITCHED_ON)))
    await writeFile(path.join(ROOT, 'cgroup.subtree_control'), `-${controller}`).catch(() => undefined);
}

async function v1Hierarchies(): Promise<string[]> {
  const entries = await readdir(ROOT, { withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isDirectory()).map((entry) => path.join(ROOT, entry.name));
}

/** Files in a cgroup cannot be deleted and go with their directory. */
async function removeTree(directory: string): Promise<void> {
  if (!existsSync(directory)) return;
  for (const entry of await readdir(directory, { withFileTypes: true }))
    if (entry.isDirectory()) await removeTree(path.join(directory, entry.name));
  await rmdir(directory);
}

async function readWords(file: string): Promise<string[]> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return text.split(/\s+/).filter((word) => word !== '');
}
