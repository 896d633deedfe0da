/** Ports of a control plane on 127.0.0.1. */
import { createServer } from 'node:net';
import type { ControlPlanePorts } from './components.ts';

/**
 * Ports below 32768, where Linux starts to take ports for outgoing connections: one that is free now must still be
 * free when the last component binds it, seconds and hundreds of connections later.
 */
const FIRST_PORT = 20_480;
const PORTS_PER_SLOT = 4;

/** Distance between the blocks that a slot may use; more than all slots together take. */
const BLOCK_DISTANCE = 256;
const BLOCK_COUNT = 40;

/** Where the blocks of consecutive ports start that slot `slot` may use, in order; no two slots share any port. */
export function portBlocksOf(slot: number): number[] {
  return Array.from(
    { length: BLOCK_COUNT },
    (_, block) => FIRST_PORT + block * BLOCK_DISTANCE + slot * PORTS_PER_SLOT,
  );
}

/** Ports of the slot's first block that is free now. Throws when all are in use. */
export async function freePorts(slot: number): Promise<ControlPlanePorts> {
  for (const first of portBlocksOf(slot)) {
    const ports = { etcd: first, etcdPeer: first + 1, apiServer: first + 2, controllerManager: first + 3 };
    const free = await Promise.all(Object.values(ports).map((port) => isFree(port)));
    if (free.every((one) => one)) return ports;
  }
  throw new Error('no free ports on 127.0.0.1 between 20480 and 30719');
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => {
      server.close(() => resolve(true));
    });
  });
}
