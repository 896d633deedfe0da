/** Progress while a task runs. */
import type { Totals } from './totals.ts';

/** Often enough to see that it works; a log that is shipped somewhere costs money by the line. */
const LOG_PERIOD_MS = 2000;

/** What was done so far, and how fast it went since the last time. */
export interface Progress extends Readonly<Totals> {
  readonly rowsPerSecond: number;
}

/**
 * Calls `tell` every `periodMs` (two seconds unless said otherwise) with what `totals` holds then. The returned function
 * ends it; it keeps no process alive by itself.
 */
export function watchProgress(
  totals: Readonly<Totals>,
  tell: (progress: Progress) => void,
  periodMs = LOG_PERIOD_MS,
): () => void {
  let lastRows = 0;
  let lastAt = performance.now();
  const timer = setInterval(() => {
    const now = performance.now();
    const seconds = (now - lastAt) / 1000;
    tell({ ...totals, rowsPerSecond: Math.round((totals.rowsIn - lastRows) / seconds) });
    lastRows = totals.rowsIn;
    lastAt = now;
  }, periodMs);
  timer.unref();
  return () => clearInterval(timer);
}
