import { once } from 'node:events';
import { createServer } from 'node:net';
import { describe, expect, test } from '@jest/globals';
import { SLOT_COUNT } from '../../cluster/addresses.ts';
import { freePorts, portBlocksOf } from '../../cluster/ports.ts';

describe('ports of a control plane', () => {
  test('no two slots share one, and all lie below those of outgoing connections', () => {
    const ports = Array.from({ length: SLOT_COUNT }, (_, slot) => portBlocksOf(slot)).flatMap((blocks) =>
      blocks.flatMap((first) => [first, first + 1, first + 2, first + 3]),
    );
    expect(new Set(ports).size).toBe(ports.length);
    expect(Math.max(...ports)).toBeLessThan(30_720);
  });

  test('a block with a port in use is passed over', async () => {
    const slot = SLOT_COUNT - 1;
    const before = await freePorts(slot);
    const holder = createServer().listen(before.controllerManager, '127.0.0.1');
    await once(holder, 'listening');
    try {
      expect((await freePorts(slot)).etcd).toBeGreaterThan(before.etcd);
    } finally {
      holder.close();
    }
  });
});
