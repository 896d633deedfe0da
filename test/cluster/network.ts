/** The one network link between this machine and a node's private network namespace. */
import { existsSync } from 'node:fs';
import type { SlotAddresses } from './addresses.ts';
import { run } from './run.ts';
import { findTool } from './tools.ts';

/**
 * Joins the network namespace of process `holderPid` to this machine: the node reaches this machine at `hostAddress`,
 * and this machine reaches the node, its pods and its Services. Nothing is forwarded beyond this machine. The link
 * and its routes vanish with the namespace.
 */
export async function connectNode(addresses: SlotAddresses, holderPid: number): Promise<void> {
  const { hostLink, hostAddress, nodeAddress, linkPrefix } = addresses;
  const ip = (...args: string[]) => run(findTool('ip'), args);
  const ipInside = (...args: string[]) =>
    run(findTool('nsenter'), [`--net=/proc/${holderPid}/ns/net`, findTool('ip'), ...args]);
  await ip('link', 'add', hostLink, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', String(holderPid));
  await ip('addr', 'add', `${hostAddress}/${linkPrefix}`, 'dev', hostLink);
  await ip('link', 'set', hostLink, 'up');
  await ipInside('link', 'set', 'lo', 'up');
  await ipInside('addr', 'add', `${nodeAddress}/${linkPrefix}`, 'dev', 'eth0');
  await ipInside('link', 'set', 'eth0', 'up');
  await ipInside('route', 'add', 'default', 'via', hostAddress);
  for (const network of [addresses.podNetwork, addresses.serviceNetwork])
    await ip('route', 'add', network, 'via', nodeAddress);
}

/** When this returns there is no link of this name; its routes go with it. */
export async function removeLink(hostLink: string): Promise<void> {
  if (!existsSync(`/sys/class/net/${hostLink}`)) return;
  try {
    await run(findTool('ip'), ['link', 'del', hostLink]);
  } catch (error) {
    // The kernel removes it by itself when the namespace at the other end goes, possibly just now.
    if (existsSync(`/sys/class/net/${hostLink}`)) throw error;
  }
}
