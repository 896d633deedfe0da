/** The result file: what a run tells beyond its exit code. */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { indexListText } from './index-list.ts';

/** The kubelet keeps 4096 bytes of a container's termination message and cuts the rest off. */
export const MAX_RESULT_BYTES = 4096;

/** Figures about a run, for people: rows, bytes, seconds. */
export type Summary = Readonly<Record<string, number>>;

export interface Result {
  readonly succeeded: readonly number[];
  /** Records that can never succeed. Those in neither list are to be run again. */
  readonly rejected: readonly number[];
  /** When those are to be run again; undefined leaves it to the operator. */
  readonly retryAfterSeconds: number | undefined;
  /** What went wrong, for people; undefined when nothing did. */
  readonly reason: string | undefined;
  /** Small: it is never shortened. */
  readonly summary: Summary;
}

/**
 * The result as one line of JSON of at most 4096 bytes. Only the reason is ever shortened: the lists decide about
 * messages, and a hundred indexes (the largest batch) always fit.
 */
export function resultText(result: Result): string {
  const { reason } = result;
  if (reason === undefined) return jsonText(result, undefined);
  const whole = jsonText(result, reason);
  if (Buffer.byteLength(whole) <= MAX_RESULT_BYTES) return whole;
  // By characters, not UTF-16 units: half a surrogate pair is no text. Bytes grow with characters, so bisection finds the longest.
  const characters = Array.from(reason);
  let fits = 0;
  let tooLong = characters.length;
  while (tooLong - fits > 1) {
    const middle = Math.floor((fits + tooLong) / 2);
    if (Buffer.byteLength(jsonText(result, shortened(characters, middle))) <= MAX_RESULT_BYTES) fits = middle;
    else tooLong = middle;
  }
  return jsonText(result, shortened(characters, fits));
}

function shortened(characters: readonly string[], length: number): string {
  return `${characters.slice(0, length).join('')}…`;
}

function jsonText(result: Result, reason: string | undefined): string {
  return JSON.stringify({
    succeededIndexes: indexListText(result.succeeded),
    rejectedIndexes: indexListText(result.rejected),
    retryAfterSeconds: result.retryAfterSeconds,
    reason,
    summary: result.summary,
  });
}

/**
 * Writes the result into `path`, which the kubelet has made; it is never created. Resolves to undefined, or to why it
 * could not be written: that never changes how the run ends.
 */
export async function writeResult(path: string, result: Result): Promise<unknown> {
  try {
    const file = await open(path, constants.O_WRONLY | constants.O_TRUNC | constants.O_NONBLOCK);
    try {
      await file.writeFile(resultText(result));
    } finally {
      await file.close();
    }
  } catch (error) {
    return error;
  }
  return undefined;
}
