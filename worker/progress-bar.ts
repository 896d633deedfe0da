/** Progress for a person at a terminal: one line that is written over itself. */
import type { Progress } from './progress.ts';

const MAX_BAR_CELLS = 30;

/** Back to the start of the line, and clear what is right of the cursor (ECMA-48 EL). */
const START_OVER = '\r\u001b[K';

/**
 * The line, with what clears the one before it, at most `columns` cells wide. Without a known size of the input
 * (a size of 0) there is no bar. A file that grew meanwhile is never more than done.
 */
export function progressLine(progress: Progress, inputBytes: number, columns: number): string {
  const { rowsIn, rowsPerSecond, bytesIn } = progress;
  const figures = `${thousands(rowsIn)} rows  ${(bytesIn / 1e6).toFixed(1)} MB  ${thousands(rowsPerSecond)} rows/s`;
  const fraction = inputBytes > 0 ? Math.min(1, bytesIn / inputBytes) : undefined;
  const line = fraction === undefined ? figures : `${bar(fraction)} ${percent(fraction)}  ${figures}`;
  // The last cell stays free: a full line would wrap on some terminals.
  return `${START_OVER}${line.slice(0, Math.max(0, columns - 1))}`;
}

/** Removes the line. */
export function clearedLine(): string {
  return START_OVER;
}

function bar(fraction: number): string {
  const filled = Math.floor(fraction * MAX_BAR_CELLS);
  return `[${'#'.repeat(filled)}${'.'.repeat(MAX_BAR_CELLS - filled)}]`;
}

function percent(fraction: number): string {
  return `${Math.floor(fraction * 100)}%`.padStart(4);
}

function thousands(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ',');
}
