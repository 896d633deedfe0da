/** Progress while a task runs. */
import type { Totals } from './totals.ts';

const PERIOD_MS = 2000;

/** What was done so far, and how fast it went since the last time. */
export interface Progress extends Readonly<Totals> {
  readonly rowsPerSecond: number;
}

/**
 * Calls `tell` about every two seconds with what `totals` holds then. The returned function ends it; it keeps no
 * process alive by itself.
 */
export function watchProgress(totals: Readonly<Totals>, tell: (progress: Progress) => void): () => void {
  let lastRows = 0;
  let lastAt = performance.now();
  const timer = setInterval(() => {
    const now = performance.now();
    const seconds = (now - lastAt) / 1000;
    tell({ ...totals, rowsPerSecond: Math.round((totals.rowsIn - lastRows) / seconds) });
    lastRows = totals.rowsIn;
    lastAt = now;
  }, PERIOD_MS);
  timer.unref();
  return () => clearInterval(timer);
}
