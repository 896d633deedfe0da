import { expect, test } from '@jest/globals';
import { monotonicClock, systemClock } from '../../../operator/process/system-clock.ts';

function within(delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    systemClock.after(delayMs, resolve);
  });
}

test('tells the time of the machine, in whole milliseconds', () => {
  const now = systemClock.now();
  expect(Number.isInteger(now)).toBe(true);
  expect(Math.abs(now - Date.now())).toBeLessThan(1_000);
});

test.each([0, -5, 1])('runs a task once after %i ms', async (delayMs) => {
  await expect(within(delayMs)).resolves.toBeUndefined();
});

test('does not run what was cancelled', async () => {
  let ran = false;
  const cancel = systemClock.after(1, () => {
    ran = true;
  });
  cancel();
  await within(5);
  expect(ran).toBe(false);
  expect(cancel).not.toThrow();
});

test('does not take a delay of months for none', async () => {
  let ran = false;
  const cancel = systemClock.after(2 ** 40, () => {
    ran = true;
  });
  await within(5);
  cancel();
  expect(ran).toBe(false);
});

test('the monotonic clock goes forward as time does', async () => {
  const before = monotonicClock.elapsedMs();
  await new Promise<void>((resolve) => {
    monotonicClock.after(20, resolve);
  });
  expect(monotonicClock.elapsedMs() - before).toBeGreaterThanOrEqual(19);
});
