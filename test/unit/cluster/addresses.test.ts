import { describe, expect, test } from '@jest/globals';
import { addressesOfSlot, isTaken, SLOT_COUNT } from '../../cluster/addresses.ts';

const ALL = Array.from({ length: SLOT_COUNT }, (_, slot) => addressesOfSlot(slot));

describe('addresses of a slot', () => {
  test.each(['name', 'hostLink', 'hostAddress', 'nodeAddress', 'podNetwork', 'serviceNetwork'] as const)(
    'no two slots share a %s',
    (field) => {
      expect(new Set(ALL.map((addresses) => addresses[field])).size).toBe(SLOT_COUNT);
    },
  );

  test('link names fit into the 15 characters that the kernel allows', () => {
    for (const { hostLink } of ALL) expect(hostLink.length).toBeLessThanOrEqual(15);
  });

  test('every number in an address is a byte', () => {
    const numbers = ALL.flatMap(({ podNetwork, serviceNetwork, nodeAddress }) =>
      [podNetwork, serviceNetwork, nodeAddress].flatMap((text) =>
        text.replace('/16', '').split('.').map(Number),
      ),
    );
    for (const number of numbers) expect(number).toBeLessThanOrEqual(255);
  });

  test.each([
    ['its own link', '10.87.3.9'],
    ['its pods', '10.163.200.1'],
    ['its services', '10.195.0.1'],
  ])('is taken when this machine has an address among %s', (_, address) => {
    expect(isTaken(addressesOfSlot(3), ['127.0.0.1', address])).toBe(true);
  });

  test('is free when this machine has only addresses of other slots and of longer numbers', () => {
    expect(isTaken(addressesOfSlot(3), ['10.87.4.1', '10.87.30.1', '10.162.0.1', '192.168.0.1', '::1'])).toBe(
      false,
    );
  });
});
