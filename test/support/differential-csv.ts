/** Random small CSV files, good and bad, and what an engine makes of them. */
import { createHash } from 'node:crypto';
import { BadRowAt } from '../../worker/bad-row.ts';
import { type Engine, type EngineName, MAX_CARRY_BYTES } from '../../worker/engine.ts';
import { ReferenceEngine } from '../../worker/engine-reference.ts';
import { factorsFrom } from '../../worker/factors.ts';
import { KernelEngine } from '../../worker/kernel/kernel-engine.ts';
import { processedValues } from '../../worker/processed-value.ts';

/** A generator of 32-bit numbers: the SHA-256 of the seed and a counter. Same seed, same files. */
class Random {
  readonly #seed: string;
  #counter = 0;

  constructor(seed: string) {
    this.#seed = seed;
  }

  /** A whole number from 0 to `count - 1`. */
  below(count: number): number {
    this.#counter += 1;
    const digest = createHash('sha256').update(`${this.#seed}/${this.#counter}`).digest();
    return digest.readUInt32LE() % count;
  }

  pick<T>(choices: readonly [T, ...T[]]): T {
    return choices[this.below(choices.length)] ?? choices[0];
  }
}

const ID_PARTS = [
  'a',
  '7',
  ' ',
  'é',
  '日',
  '😀',
  ';',
  "'",
  '\t',
  '\u2028',
  '\ufeff',
  'longer text ',
] as const;
const QUOTED_PARTS = [...ID_PARTS, ',', '""', '\n', '\r\n', '\r', '\0'] as const;
const ODD_VALUES = [
  '0',
  '-0',
  '00.10',
  '+1',
  '.5',
  '5.',
  '1E5',
  '1e-7',
  '-1.5e300',
  '1.4e308',
  '0.1',
  '999999999999999',
  '1000000000000000',
  '123456789.123456789',
  '0.000001',
  '0.0000000001',
  '4503599627370496.5',
  '1e-400',
  '9'.repeat(299),
  '9'.repeat(301),
  `0.${'3'.repeat(40)}`,
  '"1.5"',
  '"-3"',
  '"1e2"',
  '""',
] as const;
const LINE_ENDS = ['\n', '\n', '\n', '\r\n', '\r\n', '\n\n', '\r\n\r\n\n'] as const;

/** Rows that may not be accepted, or only by accident of what follows them. */
const BAD_ROWS = [
  '1',
  '1,2,3',
  '1,2,',
  ',',
  '"1,2',
  '1,"2',
  '1,2"',
  '"a"b,1',
  '"a" ,1',
  ' "a",1',
  'a"b,1',
  '1,"2"x',
  '1,abc',
  '1,',
  '1, 2',
  '1,2 ',
  '1,0x10',
  '1,1_0',
  '1,1e',
  '1,--1',
  '1,1e309',
  '1,1.2.3',
  '1,NaN',
  '1,2\r',
  '\r1,2',
  '1,2\r\r\n3,4',
  '"a"\0,1',
  'a\0b,1',
  '"",""',
  '\r',
  '1\n,2',
  ';',
  '1;2',
  '"',
  '"""',
] as const;

/** The bytes of the case with this seed. */
export function csvCase(seed: string): Buffer {
  const random = new Random(seed);
  const rows = Array.from({ length: random.below(25) }, () => rowText(random));
  if (random.below(3) === 0) rows.splice(random.below(rows.length + 1), 0, random.pick(BAD_ROWS));
  const header = random.pick([
    'ID,Value',
    'ID,Value',
    'ID,Value',
    '"ID","Value"',
    'ID,"Value"',
    'Id,Value',
    '',
  ]);
  const blank = random.pick(['', '', '', '\n', '\r\n\n']);
  const text = blank + [header, ...rows].map((row) => row + random.pick(LINE_ENDS)).join('');
  const cut = random.below(4) === 0 ? text.slice(0, random.below(text.length + 1)) : text;
  return Buffer.from(cut, random.below(8) === 0 ? 'latin1' : 'utf8');
}

function rowText(random: Random): string {
  const isQuoted = random.below(3) === 0;
  const parts = Array.from({ length: random.below(5) }, () =>
    isQuoted ? random.pick(QUOTED_PARTS) : random.pick(ID_PARTS),
  );
  const id = isQuoted ? `"${parts.join('')}"` : parts.join('');
  return `${id},${valueText(random)}`;
}

function valueText(random: Random): string {
  if (random.below(4) === 0) return random.pick(ODD_VALUES);
  const digits = `${random.below(10 ** random.below(10))}`;
  const fraction = random.below(2) === 0 ? '' : `.${random.below(10 ** (1 + random.below(8)))}`;
  const number = `${random.pick(['', '', '-'])}${digits}${fraction}`;
  return random.below(6) === 0 ? `"${number}"` : number;
}

/** What came of a file: its output, or what is said about the first bad row. */
export interface Verdict {
  readonly output?: string;
  readonly refusal?: { readonly line: number; readonly column: number | undefined; readonly message: string };
  readonly rowCount?: number;
}

/** Runs an engine over `bytes`, in blocks of `blockBytes`. Throws what is no verdict on a row. */
export function verdictOn(bytes: Buffer, name: EngineName, blockBytes: number): Verdict {
  const engine =
    name === 'reference'
      ? new ReferenceEngine(processedValues(factorsFrom('case')), 0)
      : new KernelEngine('case', 0, MAX_CARRY_BYTES + blockBytes);
  try {
    const output = outputOf(engine, bytes, blockBytes);
    return { output: output.toString('latin1'), rowCount: engine.rowCount };
  } catch (error) {
    if (!(error instanceof BadRowAt)) throw error;
    const { message, column } = error.row;
    return { refusal: { line: lineAt(bytes, error.offset), column, message } };
  }
}

function outputOf(engine: Engine, bytes: Buffer, blockBytes: number): Buffer {
  const outputs: Buffer[] = [];
  let left = Buffer.alloc(0);
  for (let at = 0; ; at += blockBytes) {
    const block = Buffer.concat([left, bytes.subarray(at, at + blockBytes)]);
    const isLast = at >= bytes.length;
    const { usedTo, output } = engine.transform({ bytes: block, from: 0, to: block.length, isLast });
    outputs.push(Buffer.from(output));
    left = Buffer.from(block.subarray(usedTo));
    if (isLast) return Buffer.concat(outputs);
  }
}

function lineAt(bytes: Buffer, offset: number): number {
  const blank = /^(?:\r?\n)*/.exec(bytes.toString('latin1', offset))?.[0].length ?? 0;
  return bytes.toString('latin1', 0, offset + blank).split('\n').length;
}
