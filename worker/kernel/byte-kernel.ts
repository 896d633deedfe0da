/**
 * The byte kernel: one pass over the bytes of ordinary rows, copied to the output while they are recognised. It never
 * guesses: at the first byte that no ordinary row has in that place it stops in front of the row, for the reference to
 * decide. An ordinary row is
 *
 *   ID,Value<line end>   ID: bytes without comma, quote, CR or LF; or quoted, with "" for a quote
 *                        Value: 12, -0.5, quoted or not
 *                        line end: LF or CRLF; any number of blank lines before the row
 *
 * What it writes for them is what the reference would: quotes only where they are needed, LF at the end. The work is done
 * in WebAssembly (`assembly/`); this is the memory it works in, and what it leaves to JavaScript.
 */
import { type Factors, wordsOf } from '../factors.ts';
import kernel from './kernel.generated.json' with { type: 'json' };

const MODULE = new WebAssembly.Module(Buffer.from(kernel.wasm, 'base64'));

/** What `assembly/kernel.ts` exports. Places in memory are addresses. */
interface Exports {
  seedFactors(first: number, second: number, third: number, fourth: number): void;
  readonly drawFactor: Factors;
  run(from: number, limit: number, output: number): number;
  writeNumber(number: number, at: number): number;
  readonly rowCount: WebAssembly.Global;
  readonly inputEnd: WebAssembly.Global;
  readonly outputEnd: WebAssembly.Global;
}

const PAGE_BYTES = 64 * 1024;

/** The kernel keeps its constants in the first page. */
const INPUT = PAGE_BYTES;

/** The byte behind the last one of the input: every loop of the kernel ends there. */
const SENTINEL = '"'.charCodeAt(0);

/** Most bytes a number takes: `-1.2345678901234567e-300`. */
const MAX_NUMBER_BYTES = 24;
/** The shortest row is `,1` and LF; every row grows by at most a comma and a number. */
const MIN_ROW_BYTES = 3;
const MAX_GROWTH_BYTES = 1 + MAX_NUMBER_BYTES;

/** Why the kernel stopped: the input ends, possibly inside a row; or the next row is not an ordinary one. */
export type Stop = 'end' | 'odd';

/** `take` a stretch of the input, then `run` over it, from as many places as needed. */
export class ByteKernel {
  /** Rows recognised so far. */
  rowCount = 0;
  /** Where the last run ended in the stretch: behind the last recognised row and the blank lines after it. */
  inputEnd = 0;
  /** The next factor; every row that is recognised draws one. */
  readonly drawFactor: Factors;
  readonly #exports: Exports;
  readonly #memory: Buffer;
  #limit = INPUT;
  /** Where in memory output is written, one area while the other is being written to the disk. */
  readonly #areas: [number, number];
  #outputEnd = 0;

  /** For stretches of at most `maxBytes`. Takes about 20 times as much of the address space, touched as it is used. */
  constructor(seed: string, maxBytes: number) {
    const first = INPUT + maxBytes + 1;
    const second = first + maxOutputBytes(maxBytes);
    const pages = Math.ceil((second + maxOutputBytes(maxBytes)) / PAGE_BYTES);
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
    const bytes = Buffer.from(memory.buffer);
    const host = {
      writeNumberByHost: (number: number, at: number) => at + bytes.write(String(number), at, 'latin1'),
      readNumberByHost: (from: number, to: number) => Number(bytes.toString('latin1', from, to)),
    };
    this.#areas = [first, second];
    this.#memory = bytes;
    this.#exports = new WebAssembly.Instance<Exports>(MODULE, { env: { memory }, host }).exports;
    this.#exports.seedFactors(...wordsOf(seed));
    this.drawFactor = this.#exports.drawFactor;
  }

  /** The next stretch of the input. What the last one became stays as it is until after the next. */
  take(stretch: Uint8Array): void {
    this.#memory.set(stretch, INPUT);
    this.#limit = INPUT + stretch.length;
    this.#memory[this.#limit] = SENTINEL;
    this.#areas.reverse();
    [this.#outputEnd] = this.#areas;
  }

  /** Recognises rows from `start` on. */
  run(start: number): Stop {
    const isOdd = this.#exports.run(INPUT + start, this.#limit, this.#outputEnd) !== 0;
    this.rowCount += this.#exports.rowCount.value;
    this.inputEnd = this.#exports.inputEnd.value - INPUT;
    return isOdd ? 'odd' : 'end';
  }

  /** What was written since the last time. */
  takeText(): Buffer {
    const start = this.#outputEnd;
    this.#outputEnd = this.#exports.outputEnd.value;
    return this.#memory.subarray(start, this.#outputEnd);
  }

  /** `String(number)` for a finite number, as it stands in output. For tests. */
  textOf(number: number): string {
    const [at] = this.#areas;
    return this.#memory.toString('latin1', at, this.#exports.writeNumber(number, at));
  }
}

/** The most bytes that ordinary rows of so many bytes can become. */
function maxOutputBytes(inputBytes: number): number {
  return inputBytes + MAX_GROWTH_BYTES * Math.ceil(inputBytes / MIN_ROW_BYTES);
}
