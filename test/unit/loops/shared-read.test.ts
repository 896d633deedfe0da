import { expect, test } from '@jest/globals';
import { SharedRead } from '../../../operator/loops/shared-read.ts';
import { VirtualClock } from '../../support/virtual-clock.ts';

test('what was read serves everybody who is content with its age', async () => {
  const clock = new VirtualClock();
  let reads = 0;
  const shared = new SharedRead(() => {
    reads += 1;
    return Promise.resolve(reads);
  }, clock);
  expect(await Promise.all([shared.get(10_000), shared.get(10_000)])).toEqual([1, 1]);
  await clock.advance(5_000);
  expect(await shared.get(10_000)).toBe(1);
  expect(await shared.get(5_000)).toBe(2);
  expect(await shared.get(10_000)).toBe(2);
});

test('a read that failed is not kept', async () => {
  let reads = 0;
  const shared = new SharedRead(() => {
    reads += 1;
    return reads === 1 ? Promise.reject(new Error('away')) : Promise.resolve('here');
  }, new VirtualClock());
  await expect(shared.get(10_000)).rejects.toThrow('away');
  expect(await shared.get(10_000)).toBe('here');
});
