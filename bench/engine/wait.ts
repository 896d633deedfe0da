import { setTimeout as sleep } from 'node:timers/promises';

/** How many requests the benchmark itself sends at once. */
const PARALLEL = 8;

/** Runs the tasks, several at once. */
export async function inParallel<T>(
  items: readonly T[],
  task: (item: T) => Promise<void>,
  parallel = PARALLEL,
): Promise<void> {
  const waiting = items[Symbol.iterator]();
  const work = async () => {
    for (let next = waiting.next(); !next.done; next = waiting.next()) await task(next.value);
  };
  await Promise.all(Array.from({ length: parallel }, work));
}

/** Returns when it is so. Throws when it is not in time. */
export async function until(what: string, timeoutMs: number, holds: () => Promise<boolean>): Promise<void> {
  const endMs = Date.now() + timeoutMs;
  while (!(await holds())) {
    if (Date.now() >= endMs) throw new Error(`waited ${timeoutMs / 1000} s for ${what}`);
    await sleep(50);
  }
}
