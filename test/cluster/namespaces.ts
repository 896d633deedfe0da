/**
 * The private world of a node: its own network, process ids and mounts. Whatever kubelet, containerd, kube-proxy and
 * the pods do to links, firewall rules, mounts, /run, /var/lib and sysctls stays in it and ends with it.
 */
import { spawn } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { markedEnvironment } from './processes.ts';
import { unrefStream } from './streams.ts';
import { findTool } from './tools.ts';

/** The namespaces of one node. */
export interface Namespaces {
  /** A process outside whose children live inside; the namespaces end with it. */
  readonly holderPid: number;
  /** Command prefix that runs a program inside. */
  readonly enter: readonly string[];
}

/**
 * Kubelet sets these when they differ, and they are not private to any namespace. Inside the node, files with the
 * values it wants cover them, so that the machine's own never change.
 */
const COVERED_SYSCTLS: Readonly<Record<string, string>> = {
  'vm/overcommit_memory': '1',
  'vm/panic_on_oom': '0',
  'kernel/panic': '10',
  'kernel/panic_on_oops': '1',
  'kernel/keys/root_maxkeys': '1000000',
  'kernel/keys/root_maxbytes': '25000000',
};

/**
 * First process inside. /run becomes empty; /var/lib and /var/log take writes in memory. Then it waits for the end of
 * its input, whose other end the launcher holds, as a second way (besides the janitor) to end with the launcher. The
 * ignored SIGCHLD has the kernel reap orphans by itself.
 */
const FIRST_PROCESS = `
set -e
mount -t tmpfs tmpfs /run
private=$1/private
mount -t tmpfs tmpfs "$private"
for name in lib log; do
  mkdir -p "$private/$name" "$private/$name.work"
  mount -t overlay -o "lowerdir=/var/$name,upperdir=$private/$name,workdir=$private/$name.work" overlay "/var/$name"
done
mkdir "$private/sysctl"
shift
for sysctl in "$@"; do
  file=$(mktemp "$private/sysctl/XXXXXX")
  target=/proc/sys/\${sysctl%%=*}
  [ -e "$target" ] || continue
  echo "\${sysctl#*=}" > "$file"
  mount --bind "$file" "$target"
done
echo 1 > /proc/sys/net/ipv4/ip_forward
mount --make-rshared /
trap '' CHLD
echo ready
exec cat > /dev/null
`;

/** Makes the namespaces. Their processes carry the cluster's mark and are killed with this process at the latest. */
export async function makeNamespaces(directory: string): Promise<Namespaces> {
  await mkdir(`${directory}/private`, { recursive: true });
  const settings = Object.entries(COVERED_SYSCTLS).map(([name, value]) => `${name}=${value}`);
  const isolate = [
    '--net',
    '--pid',
    '--mount',
    '--fork',
    '--kill-child',
    '--mount-proc',
    '--propagation=private',
  ];
  const child = spawn(
    findTool('unshare'),
    isolate.concat('sh', '-c', FIRST_PROCESS, 'sh', directory, settings),
    { cwd: '/', detached: true, env: markedEnvironment(directory), stdio: ['pipe', 'pipe', 'pipe'] },
  );
  await untilReady(child);
  child.unref();
  for (const stream of [child.stdin, child.stdout, child.stderr]) unrefStream(stream);
  const holderPid = child.pid ?? 0;
  const ns = `/proc/${holderPid}/ns`;
  return {
    holderPid,
    enter: [
      findTool('nsenter'),
      `--net=${ns}/net`,
      `--mount=${ns}/mnt`,
      `--pid=${ns}/pid_for_children`,
      '--',
    ],
  };
}

function untilReady(child: ReturnType<typeof spawn>): Promise<void> {
  return new Promise((resolve, reject) => {
    let output = '';
    child.stdout?.once('data', () => resolve());
    child.stderr?.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
    child.once('error', reject);
    child.once('close', () => reject(new Error(`cannot make the node's namespaces: ${output.trim()}`)));
  });
}
