import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, expect, test } from '@jest/globals';
import { EventLoopLag } from '../../../operator/process/event-loop-lag.ts';
import { eventually } from '../../support/eventually.ts';
import { MemoryLog } from '../../support/logs.ts';
import { VirtualClock } from '../../support/virtual-clock.ts';

const BLOCK_MS = 1_200;
const log = new MemoryLog();
const clock = new VirtualClock();
const lag = new EventLoopLag(clock, log);

afterEach(() => lag.stop());

test('a loop that stands still is measured, told once, and forgotten with the next look', async () => {
  lag.start();
  // The first interval begins with the first turn of the loop.
  await delay(100);
  const endMs = performance.now() + BLOCK_MS;
  while (performance.now() < endMs);
  await eventually(
    () => lag.read().maxMs,
    (maxMs) => maxMs >= BLOCK_MS - 50,
  );
  expect(lag.read().p50Ms).toBeLessThan(BLOCK_MS / 2);

  await clock.advance(10_000);
  expect(log.lines.map(({ text }) => text)).toEqual(['the event loop stood still']);
  expect(lag.read().maxMs).toBeLessThan(BLOCK_MS / 2);
  await clock.advance(10_000);
  expect(log.lines).toHaveLength(1);
});
