/** Looks for what a cluster left on the machine. Tests call it after `stop`, `down` and SIGKILL. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { addressesOfSlot } from './addresses.ts';
import { allProcesses, commandLineOf, processesOf } from './process-table.ts';
import { run } from './run.ts';
import { lookUpTool } from './tools.ts';

/** What a cluster must not change on the machine, whoever else runs clusters on it at the same time. */
export interface MachineState {
  readonly sysctls: Readonly<Record<string, string>>;
  /** Firewall rules of this machine's own network namespace, IPv4 and IPv6. */
  readonly rules: readonly string[];
  /** Those of the places where Kubernetes, containerd and CNI like to write that exist. */
  readonly directories: readonly string[];
}

/** Which cluster to look for. */
export interface Suspect {
  readonly slot: number;
  /** Its run directory. */
  readonly directory: string;
}

/** What kubelet, kube-proxy, CNI plugins and container engines are known to set. */
const SYSCTLS = [
  'kernel/panic',
  'kernel/panic_on_oops',
  'kernel/keys/root_maxkeys',
  'kernel/keys/root_maxbytes',
  'vm/overcommit_memory',
  'vm/panic_on_oom',
  'fs/inotify/max_user_instances',
  'net/ipv4/ip_forward',
  'net/ipv4/conf/all/route_localnet',
  'net/ipv4/conf/all/forwarding',
  'net/ipv6/conf/all/forwarding',
  'net/bridge/bridge-nf-call-iptables',
  'net/netfilter/nf_conntrack_max',
  'net/netfilter/nf_conntrack_tcp_timeout_established',
];

const DIRECTORIES = [
  '/etc/cni',
  '/run/containerd',
  '/run/netns',
  '/run/runc',
  '/usr/libexec/kubernetes',
  '/var/lib/cni',
  '/var/lib/containerd',
  '/var/lib/kubelet',
  '/var/log/containers',
  '/var/log/pods',
];

/** What the machine looks like now. */
export async function machineState(): Promise<MachineState> {
  return {
    sysctls: Object.fromEntries(SYSCTLS.flatMap((name) => readSysctl(name))),
    rules: await firewallRules(),
    directories: DIRECTORIES.filter((directory) => existsSync(directory)),
  };
}

/** Everything of the cluster that is still there, and every difference to `before`: one line each, empty when clean. */
export async function leftoversOf({ slot, directory }: Suspect, before: MachineState): Promise<string[]> {
  const { name, hostLink } = addressesOfSlot(slot);
  return [
    ...leftProcesses(directory),
    ...linesOf('/proc/self/mountinfo', directory).map((line) => `mount: ${line}`),
    ...(existsSync(`/sys/class/net/${hostLink}`) ? [`link: ${hostLink}`] : []),
    ...leftCgroups(name).map((cgroup) => `cgroup: ${cgroup}`),
    ...(existsSync(directory) ? [`run directory: ${directory}`] : []),
    ...differences(before, await machineState()),
  ];
}

/** By the mark in the environment, and, for the janitor, by the command line. */
function leftProcesses(directory: string): string[] {
  const named = allProcesses().filter(({ pid }) => commandLineOf(pid).includes(directory));
  const pids = new Set([...processesOf(directory), ...named].map(({ pid }) => pid));
  pids.delete(process.pid);
  return [...pids].map((pid) => `process: ${pid} ${commandLineOf(pid)}`);
}

/** Version 1 has one directory per controller, version 2 none in between. */
function leftCgroups(name: string): string[] {
  const root = '/sys/fs/cgroup';
  const controllers = existsSync(root) ? readdirSync(root).map((entry) => path.join(root, entry)) : [];
  return [root, ...controllers].map((top) => path.join(top, name)).filter((cgroup) => existsSync(cgroup));
}

function differences(before: MachineState, now: MachineState): string[] {
  const sysctls = Object.keys(before.sysctls).filter((name) => before.sysctls[name] !== now.sysctls[name]);
  return [
    ...sysctls.map((name) => `sysctl: ${name} was ${before.sysctls[name]}, is ${now.sysctls[name]}`),
    ...without(now.rules, before.rules).map((rule) => `new rule: ${rule}`),
    ...without(before.rules, now.rules).map((rule) => `lost rule: ${rule}`),
    ...without(now.directories, before.directories).map((directory) => `new directory: ${directory}`),
  ];
}

function without(all: readonly string[], some: readonly string[]): string[] {
  return all.filter((one) => !some.includes(one));
}

/** Only root can read them, or change them. Comments and counters change by themselves. */
async function firewallRules(): Promise<string[]> {
  if (process.getuid?.() !== 0) return [];
  const tools = ['iptables-save', 'ip6tables-save'].flatMap((name) => lookUpTool(name) ?? []);
  const outputs = await Promise.all(tools.map((tool) => run(tool, [])));
  return outputs.flatMap((output) =>
    output
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => line.replace(/\[\d+:\d+\]/, '')),
  );
}

function readSysctl(name: string): [string, string][] {
  const lines = linesOf(`/proc/sys/${name}`, '');
  return lines.length === 0 ? [] : [[name, lines.join(' ')]];
}

function linesOf(file: string, containing: string): string[] {
  if (!existsSync(file)) return [];
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '' && line.includes(containing));
}
