/** The names and networks of one slot: pure functions of its number, so that teardown needs no bookkeeping. */

/** How many clusters one machine can hold: the second bytes 160..191 and 192..223 below are what limits it. */
export const SLOT_COUNT = 32;

/** What two clusters on one machine must not share. */
export interface SlotAddresses {
  /** Name of the cluster; also of its cgroup. */
  readonly name: string;
  /** Network link on the host's side; the kernel allows 15 characters. */
  readonly hostLink: string;
  /** This machine, as pods and the node see it. */
  readonly hostAddress: string;
  /** The node, as this machine sees it. */
  readonly nodeAddress: string;
  /** Prefix length of the network between the two. */
  readonly linkPrefix: 24;
  readonly podNetwork: string;
  readonly serviceNetwork: string;
  /** First address of the service network: the `kubernetes` Service. */
  readonly apiServiceAddress: string;
}

/** The names and networks of slot `slot` (0 to SLOT_COUNT - 1); no two slots share any. */
export function addressesOfSlot(slot: number): SlotAddresses {
  return {
    name: `bq${slot}`,
    hostLink: `bq${slot}-host`,
    hostAddress: `10.87.${slot}.1`,
    nodeAddress: `10.87.${slot}.2`,
    linkPrefix: 24,
    podNetwork: `10.${160 + slot}.0.0/16`,
    serviceNetwork: `10.${192 + slot}.0.0/16`,
    apiServiceAddress: `10.${192 + slot}.0.1`,
  };
}

/** True when one of this machine's own IPv4 addresses lies in a network that the slot would use. */
export function isTaken(addresses: SlotAddresses, machineAddresses: readonly string[]): boolean {
  const prefixes = [addresses.hostAddress, addresses.podNetwork, addresses.serviceNetwork].map(
    (address, index) =>
      address
        .split('.')
        .slice(0, index === 0 ? 3 : 2)
        .join('.'),
  );
  return machineAddresses.some((address) => prefixes.some((prefix) => address.startsWith(`${prefix}.`)));
}
