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
    for await (const block of blocks) await write(engine.feed(block));
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
