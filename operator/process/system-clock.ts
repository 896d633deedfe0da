import type { Clock, MonotonicClock } from '../ports.ts';

/** setTimeout takes a 32-bit number of milliseconds; a longer delay would fire at once. */
const MAX_DELAY_MS = 2 ** 31 - 1;

/** The machine's time. Timers do not keep the process alive by themselves forever: shutdown cancels or outlives them. */
export const systemClock: Clock = { now: () => Date.now(), after };

/** CLOCK_MONOTONIC: counts on while the process is stopped, and never jumps. */
export const monotonicClock: MonotonicClock = { elapsedMs: () => performance.now(), after };

function after(delayMs: number, task: () => void): () => void {
  const timer = setTimeout(task, Math.min(Math.max(0, delayMs), MAX_DELAY_MS));
  return () => clearTimeout(timer);
}
