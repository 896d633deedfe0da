/**
 * What turns bytes of the input into bytes of the output. There are two engines with one meaning (docs/adr/0009): same
 * bytes, same verdicts, same places of errors.
 */
import { quoted } from './text.ts';

/** `kernel` is the default; `reference` passes every row through csv-parse and csv-stringify, for diagnosis. */
export type EngineName = 'kernel' | 'reference';

/** The engine of this name, the default for undefined. Throws an Error that says which there are. */
export function engineFrom(name: string | undefined): EngineName {
  if (name === undefined || name === 'kernel') return 'kernel';
  if (name === 'reference') return 'reference';
  throw new Error(`engine must be "kernel" or "reference", got ${quoted(name)}`);
}

/** Bytes of the input that follow each other, in a buffer that is used again. */
export interface Block {
  readonly bytes: Buffer;
  readonly from: number;
  readonly to: number;
  /** Nothing follows. */
  readonly isLast: boolean;
}

/** What an engine made of a block. */
export interface Transformed {
  /** Up to where the block was used; at most MAX_CARRY_BYTES are left, and none of the last block. */
  readonly usedTo: number;
  /** Valid until the second next call. */
  readonly output: Buffer;
}

/** The part of a block that an engine leaves, to find it again before the next one, is never longer. */
export const MAX_CARRY_BYTES = 64 * 1024;

export interface Engine {
  /** Rows transformed so far, without the header; -1 before it was met. */
  readonly rowCount: number;
  /** Transforms a block, which begins where the last one was used to. Throws BadRowAt for the first bad row. */
  transform(block: Block): Transformed;
}
