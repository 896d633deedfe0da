/**
 * Blocks through an engine, from file to file. While the engine works on one block the next is being read and the last
 * result is being written:
 *
 *   read   1 2 3 4
 *   work     1 2 3 4
 *   write      1 2 3 4
 *
 * Two buffers for reading and two for writing are all the memory it takes, however long the file is.
 */
import type { FileHandle } from 'node:fs/promises';
import { type Block, type Engine, type EngineName, MAX_CARRY_BYTES } from './engine.ts';
import { ReferenceEngine } from './engine-reference.ts';
import { factorsFrom } from './factors.ts';
import { KernelEngine } from './kernel/kernel-engine.ts';
import { processedValues } from './processed-value.ts';
import type { Totals } from './totals.ts';

/** Enough that the cost of a system call does not count; the kernel's page cache makes larger requests of them. */
const BLOCK_BYTES = 256 * 1024;

export interface EngineFiles {
  readonly input: FileHandle;
  readonly output: FileHandle;
  readonly totals: Totals;
}

export interface EngineTask {
  readonly engine: EngineName;
  readonly seed: string;
  /** Where the CSV begins in the input, after a byte order mark. */
  readonly firstByte: number;
  /** Only tests take other blocks than BLOCK_BYTES. */
  readonly blockBytes?: number | undefined;
}

/** Fills `output` from `input`. Throws BadRowAt, what a failed read or write throws, or the reason of an abort. */
export async function flowThroughEngine(
  task: EngineTask,
  files: EngineFiles,
  signal: AbortSignal,
): Promise<void> {
  const blockBytes = task.blockBytes ?? BLOCK_BYTES;
  const engine = engineFor(task, blockBytes);
  const source = new BlockSource(files.input, task.firstByte, blockBytes);
  let writing = Promise.resolve();
  try {
    for (let isLast = false; !isLast; ) {
      const block = await source.next();
      signal.throwIfAborted();
      isLast = block.isLast;
      files.totals.bytesIn = source.position;
      const { usedTo, output } = engine.transform(block);
      source.carry(usedTo);
      await writing;
      const { rowCount } = engine;
      writing = inFlight(written(output, rowCount, files));
    }
    await writing;
  } finally {
    files.totals.rowsIn = Math.max(0, engine.rowCount);
    await Promise.allSettled([writing, source.settled()]);
  }
}

function engineFor({ engine, seed, firstByte }: EngineTask, blockBytes: number): Engine {
  return engine === 'reference'
    ? new ReferenceEngine(processedValues(factorsFrom(seed)), firstByte)
    : new KernelEngine(seed, firstByte, MAX_CARRY_BYTES + blockBytes);
}

/** Goes on at the current position. A write may stop half-way, on a disk that is about to be full for one. */
async function written(bytes: Buffer, rowCount: number, { output, totals }: EngineFiles): Promise<void> {
  for (let at = 0; at < bytes.length; ) at += (await output.write(bytes, at)).bytesWritten;
  totals.bytesOut += bytes.length;
  totals.rowsIn = Math.max(0, rowCount);
  totals.rowsOut = Math.max(0, rowCount);
}

/** A failure that comes while nobody is waiting for it is kept for whoever waits next. */
function inFlight<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}

/** The input as blocks, each with what was left of the one before in front of it. */
class BlockSource {
  /** Bytes of the file up to the end of the last block. */
  position: number;
  readonly #file: FileHandle;
  readonly #blockBytes: number;
  /** The second is being filled while the first is in use. */
  readonly #areas: [Buffer, Buffer];
  #reading: Promise<number>;
  #left: Buffer = Buffer.alloc(0);
  #end = 0;

  constructor(file: FileHandle, position: number, blockBytes: number) {
    const area = () => Buffer.allocUnsafeSlow(MAX_CARRY_BYTES + blockBytes);
    this.position = position;
    this.#file = file;
    this.#blockBytes = blockBytes;
    this.#areas = [area(), area()];
    this.#reading = this.#read();
  }

  /** The last block is the one after which the file ended; nothing but what was left is in it. */
  async next(): Promise<Block> {
    const count = await this.#reading;
    this.#areas.reverse();
    const [bytes] = this.#areas;
    this.position += count;
    this.#end = MAX_CARRY_BYTES + count;
    const from = MAX_CARRY_BYTES - this.#left.length;
    // Moved before the buffer it lies in is filled again.
    this.#left.copy(bytes, from);
    if (count > 0) this.#reading = this.#read();
    return { bytes, from, to: this.#end, isLast: count === 0 };
  }

  /** Keeps what the engine has not used of the block. */
  carry(usedTo: number): void {
    this.#left = this.#areas[0].subarray(usedTo, this.#end);
  }

  /** Resolves when no read is under way. */
  async settled(): Promise<void> {
    await this.#reading.catch(() => undefined);
  }

  #read(): Promise<number> {
    const request = this.#file.read(this.#areas[1], MAX_CARRY_BYTES, this.#blockBytes, this.position);
    return inFlight(request.then(({ bytesRead }) => bytesRead));
  }
}
