/**
 * One task from beginning to end:
 *
 *   input ──blocks──► engine (parse, check, transform, format) ──blocks──► temporary file ──► published
 *
 * Memory does not grow with the file.
 */
import { type FileHandle } from 'node:fs/promises';
import { BadRowAt } from './bad-row.ts';
import { messageOf, syscallOf, WorkerError } from './contract/errors.ts';
import type { EngineName } from './engine.ts';
import { flowThroughEngine } from './engine-flow.ts';
import { asWorkerError } from './errno.ts';
import { lineNumberAt } from './line-number.ts';
import { publishAll } from './publication.ts';
import { flowByRows, type RowOptions } from './row-task.ts';
import { startOfCsv } from './signature.ts';
import { type Location, openInput, pathOf } from './storage.ts';
import { quotedBytes } from './text.ts';
import type { Totals } from './totals.ts';

export interface CsvTask {
  readonly input: Location;
  readonly output: Location;
  readonly seed: string;
  /** Present when it asks for more than the plain file; then `seed` is the transform's own matter. */
  readonly rows?: RowOptions | undefined;
  /** `kernel` unless said otherwise; a task with `rows` has an engine of its own. */
  readonly engine?: EngineName | undefined;
  /** Bytes read at once; only tests need other than the engines' own choice. */
  readonly blockBytes?: number | undefined;
  /** A longer input is refused. */
  readonly maxInputBytes?: number | undefined;
}

/** More brings nothing (rows are what costs) and makes each batch of rows more garbage at once. */
const BLOCK_BYTES = 64 * 1024;

/**
 * Reads the input, writes and publishes the output; counts into `totals` while it runs. Throws a WorkerError: `reject`
 * for a bad row or path, with file, line, column, what was got and what is allowed; `retry` when the storage failed or
 * `signal` was aborted. Whatever is thrown, the output is as it was before, or complete.
 */
export async function runCsvTask(task: CsvTask, totals: Totals, signal: AbortSignal): Promise<void> {
  if (pathOf(task.input) === pathOf(task.output)) {
    throw new WorkerError(
      'reject',
      `output ${task.output.shown}: is the input itself, allowed: another file`,
    );
  }
  signal.throwIfAborted();
  const input = await openInput(task.input);
  try {
    assertSize((await input.stat()).size, task);
    const rejected = task.rows?.rejected;
    await publishAll(
      // The output last: who sees it finds the bad rows in place.
      rejected === undefined ? [task.output] : [rejected, task.output],
      (output, second) => transform(task, { input, totals, ...sides(output, second) }, signal),
      signal,
    );
  } finally {
    // Nothing was written to it, so a failed close tells nothing.
    await input.close().catch(() => undefined);
  }
}

function assertSize(sizeBytes: number, { input, maxInputBytes = Infinity }: CsvTask): void {
  if (sizeBytes <= maxInputBytes) return;
  throw new WorkerError(
    'reject',
    `input ${input.shown}: got ${sizeBytes} bytes, allowed: at most ${maxInputBytes} (BATCHQUEUE_MAX_INPUT_BYTES)`,
  );
}

function sides(first: FileHandle, second: FileHandle | undefined): Pick<Files, 'output' | 'rejected'> {
  return second === undefined ? { output: first, rejected: undefined } : { output: second, rejected: first };
}

interface Files {
  readonly input: FileHandle;
  readonly output: FileHandle;
  readonly rejected: FileHandle | undefined;
  readonly totals: Totals;
}

/** `flow` with its failures put into words. */
async function transform(task: CsvTask, files: Files, signal: AbortSignal): Promise<void> {
  try {
    await flow(task, files, signal);
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    if (error instanceof BadRowAt) throw await located(error, files.input, task.input.shown);
    const [side, { shown }] =
      syscallOf(error) === 'read' ? (['input', task.input] as const) : (['output', task.output] as const);
    throw asWorkerError(error, side, shown);
  }
}

async function flow(task: CsvTask, files: Files, signal: AbortSignal): Promise<void> {
  const { input, output, totals } = files;
  const start = await startOfCsv(input, task.input.shown);
  if (task.rows !== undefined) {
    return flowByRows(
      stoppable(blocksOf(input, start, totals), signal),
      { ...task.rows, firstByte: start },
      files,
    );
  }
  const { seed, engine = 'kernel', blockBytes } = task;
  await flowThroughEngine({ seed, engine, firstByte: start, blockBytes }, { input, output, totals }, signal);
}

/** Generators instead of the file handles' own streams: those keep a handle from closing when they do not close it themselves. */
async function* blocksOf(file: FileHandle, start: number, totals: Totals): AsyncGenerator<Buffer> {
  for (let position = start; ; ) {
    const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(BLOCK_BYTES), 0, BLOCK_BYTES, position);
    if (bytesRead === 0) return;
    position += bytesRead;
    totals.bytesIn = position;
    yield buffer.subarray(0, bytesRead);
  }
}

async function* stoppable(blocks: AsyncIterable<Buffer>, signal: AbortSignal): AsyncGenerator<Buffer> {
  for await (const block of blocks) {
    signal.throwIfAborted();
    yield block;
  }
}

async function located(error: BadRowAt, file: FileHandle, shown: string): Promise<WorkerError> {
  const place = await placeOf(error, file);
  const { row, columnName } = error;
  const name = columnName === undefined ? '' : ` (${shownName(columnName)})`;
  const columnText = row.column === undefined ? '' : `, column ${row.column}${name}`;
  return new WorkerError('reject', `${shown}, ${place}${columnText}: ${error.row.message}`, error);
}

/** A name of the input's header, which anybody may have written. */
function shownName(name: string): string {
  return /^[\w .-]{1,40}$/.test(name) ? name : quotedBytes(name);
}

async function placeOf({ offset }: BadRowAt, file: FileHandle): Promise<string> {
  try {
    return `line ${await lineNumberAt(file, offset)}`;
  } catch (error) {
    return `byte ${offset} (${messageOf(error)})`;
  }
}
