/** Numbers for people and for machines. */
import { writeFile } from 'node:fs/promises';
import { loadavg } from 'node:os';

/** The value below which this part (0..1) of the values lies; nearest rank. */
export function percentile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)] ?? Number.NaN;
}

/** The one in the middle of an odd number of items, by this value of theirs. Throws when there is none. */
export function medianBy<T>(items: readonly T[], valueOf: (item: T) => number): T {
  const median = items.toSorted((a, b) => valueOf(a) - valueOf(b))[Math.floor(items.length / 2)];
  if (median === undefined) throw new Error('a median needs at least one round');
  return median;
}

export function rounded(value: number, digits = 1): number {
  return Number(value.toFixed(digits));
}

/** A line of a benchmark's table: what, how much, and whether that is what it should be. */
export function line(what: string, figure: string, target?: { text: string; met: boolean }): void {
  const verdict = target === undefined ? '' : `${target.met ? 'ok  ' : 'MISS'} ${target.text}`;
  process.stdout.write(`${`${what.padEnd(34)} ${figure.padEnd(44)} ${verdict}`.trimEnd()}\n`);
}

/** How busy the machine is besides: figures of a shared machine say little without it. */
export function loadLine(): void {
  line(
    'load of the machine',
    loadavg()
      .map((load) => load.toFixed(1))
      .join(' '),
  );
}

/** Writes one JSON object, if a file was asked for. */
export async function writeJson(file: string | undefined, figures: object): Promise<void> {
  if (file !== undefined) await writeFile(file, `${JSON.stringify(figures, null, 2)}\n`);
}
