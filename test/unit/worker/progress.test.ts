import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { type Progress, watchProgress } from '../../../worker/progress.ts';
import { noTotals } from '../../../worker/totals.ts';

beforeEach(() => void jest.useFakeTimers());
afterEach(() => void jest.useRealTimers());

test('Progress is told every two seconds with the speed since the last time, until it is ended', () => {
  const told: Progress[] = [];
  const totals = noTotals();
  const stop = watchProgress(totals, (progress) => told.push(progress));
  jest.advanceTimersByTime(1999);
  expect(told).toEqual([]);
  Object.assign(totals, { rowsIn: 3000, bytesIn: 60 });
  jest.advanceTimersByTime(1);
  totals.rowsIn = 4000;
  jest.advanceTimersByTime(2000);
  expect(told).toEqual([
    { rowsIn: 3000, rowsOut: 0, rowsRejected: 0, bytesIn: 60, bytesOut: 0, rowsPerSecond: 1500 },
    { rowsIn: 4000, rowsOut: 0, rowsRejected: 0, bytesIn: 60, bytesOut: 0, rowsPerSecond: 500 },
  ]);
  stop();
  jest.advanceTimersByTime(10_000);
  expect(told).toHaveLength(2);
});
