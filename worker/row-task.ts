/** The flow of a task that asks for more than the plain file, through `RowEngine`. */
import type { FileHandle } from 'node:fs/promises';
import { RowEngine } from './row-engine.ts';
import type { RowsTransform } from './rows-transform.ts';
import type { Location } from './storage.ts';
import type { Totals } from './totals.ts';

/** What a task asks for beyond the plain file. */
export interface RowOptions {
  readonly transform: RowsTransform;
  /** Where bad rows go; undefined: the first one ends the task. */
  readonly rejected: Location | undefined;
}

/** Bytes of the input that go through the engine at once: fewer while they become many, as an own transform may make them. */
const MIN_SLICE_BYTES = 256;
const MAX_SLICE_BYTES = 64 * 1024;
const MUCH_OUTPUT_BYTES = 1024 * 1024;

export interface RowFiles {
  readonly output: FileHandle;
  readonly rejected: FileHandle | undefined;
  readonly totals: Totals;
}

/** From the blocks of the input (from `firstByte` on) to both files. Throws BadRowAt, or what a failed write throws. */
export async function flowByRows(
  blocks: AsyncIterable<Buffer>,
  options: RowOptions & { readonly firstByte: number },
  { output, rejected, totals }: RowFiles,
): Promise<void> {
  const { transform, firstByte } = options;
  const engine = new RowEngine({ transform, firstByte, totals, setsAside: rejected !== undefined });
  const write = async (made: ReturnType<RowEngine['finish']>) => {
    await output.writeFile(made.output);
    totals.bytesOut += made.output.length;
    if (made.rejected.length > 0) await rejected?.writeFile(made.rejected);
  };
  await withoutStacks(async () => {
    let sliceBytes = MIN_SLICE_BYTES;
    for await (const block of blocks) {
      for (let at = 0; at < block.length; ) {
        const made = engine.feed(block.subarray(at, at + sliceBytes));
        await write(made);
        at += sliceBytes;
        const isMuch = made.output.length > MUCH_OUTPUT_BYTES;
        sliceBytes = isMuch ? MIN_SLICE_BYTES : Math.min(2 * sliceBytes, MAX_SLICE_BYTES);
      }
    }
    await write(engine.finish());
  });
}

/** Every bad row is an error, there may be millions, and remembering where each was thrown takes most of their time. */
async function withoutStacks(work: () => Promise<void>): Promise<void> {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    await work();
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}
