/**
 * The default engine: the byte kernel for ordinary rows, the reference for all others.
 *
 *        ┌──────────── kernel ◄───────────┐
 *    odd row (or longer than 64 KiB)    a row ended in this block
 *        └───────────► reference ─────────┘
 *
 * The reference starts in front of the odd row and is fed in slices until at least one row is complete; what it has
 * read beyond the last complete row is read again by the kernel. The slices grow while odd rows follow each other
 * closely, so that a file of only odd rows costs as much as the reference alone.
 */
import type { Block, Engine, Transformed } from '../engine.ts';
import { MAX_CARRY_BYTES } from '../engine.ts';
import { assertHeaderMet, ReferenceRows } from '../engine-reference.ts';
import { processedValues, type RowTransform } from '../processed-value.ts';
import { ByteKernel } from './byte-kernel.ts';

const MIN_SLICE_BYTES = 256;
const MAX_SLICE_BYTES = 64 * 1024;

export class KernelEngine implements Engine {
  readonly #kernel: ByteKernel;
  readonly #transformRow: RowTransform;
  /** Reads the header, and later odd rows. */
  #reference: ReferenceRows | undefined;
  /** Rows of references that are done. */
  #referenceRows = 0;
  #sliceBytes = MIN_SLICE_BYTES;
  /** Where in the file the last reference ended, and the next block begins. */
  #referenceEnd: number;
  #position: number;

  /** For blocks of at most `maxBlockBytes`, the first of which begins at byte `firstByte` of the file. */
  constructor(seed: string, firstByte: number, maxBlockBytes: number) {
    this.#kernel = new ByteKernel(seed, maxBlockBytes);
    this.#transformRow = processedValues(this.#kernel.drawFactor);
    this.#reference = new ReferenceRows(this.#transformRow, firstByte);
    this.#referenceEnd = firstByte;
    this.#position = firstByte;
  }

  get rowCount(): number {
    return this.#referenceRows + (this.#reference?.rowCount ?? 0) + this.#kernel.rowCount - 1;
  }

  transform(block: Block): Transformed {
    this.#kernel.take(block.bytes.subarray(block.from, block.to));
    const texts: Buffer[] = [];
    let at = block.from;
    for (;;) {
      if (this.#reference !== undefined) at = this.#refer(this.#reference, { block, at, texts });
      if (this.#reference !== undefined) break;
      const goOn = this.#recognise(block, at);
      texts.push(this.#kernel.takeText());
      at = block.from + this.#kernel.inputEnd;
      if (!goOn) break;
    }
    this.#position += at - block.from;
    if (block.isLast) assertHeaderMet(this.rowCount);
    return { usedTo: at, output: texts.length === 1 ? texts[0]! : Buffer.concat(texts) };
  }

  /** Runs the kernel; true when what is left is for the reference, which is then set up. */
  #recognise(block: Block, at: number): boolean {
    const stop = this.#kernel.run(at - block.from);
    const end = this.#kernel.inputEnd;
    const left = block.to - block.from - end;
    if (stop === 'end' && (left === 0 || (!block.isLast && left <= MAX_CARRY_BYTES))) return false;
    const offset = this.#position + end;
    const isClose = offset - this.#referenceEnd < this.#sliceBytes;
    this.#sliceBytes = isClose ? Math.min(2 * this.#sliceBytes, MAX_SLICE_BYTES) : MIN_SLICE_BYTES;
    this.#reference = new ReferenceRows(this.#transformRow, offset);
    return true;
  }

  /** Feeds the reference until a row ends in this block, and returns where; or to the end of the block. */
  #refer(reference: ReferenceRows, { block, at, texts }: Stretch): number {
    for (let fed = at; fed < block.to; ) {
      const next = Math.min(fed + this.#sliceBytes, block.to);
      reference.feed(block.bytes.subarray(fed, next));
      fed = next;
      const end = reference.endOfRow - this.#position + block.from;
      // csv-parse looks ahead, so a row may be found in this block that ended in the last one.
      if (reference.rowCount > 0 && end >= at) {
        texts.push(reference.takeText());
        this.#referenceRows += reference.rowCount;
        this.#referenceEnd = reference.endOfRow;
        this.#reference = undefined;
        return end;
      }
    }
    if (block.isLast) reference.finish();
    texts.push(reference.takeText());
    return block.to;
  }
}

interface Stretch {
  readonly block: Block;
  readonly at: number;
  readonly texts: Buffer[];
}
