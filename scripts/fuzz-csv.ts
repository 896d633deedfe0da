import { isDeepStrictEqual, parseArgs } from 'node:util';
import { csvCase, verdictOn } from '../test/support/differential-csv.ts';
import { randomDoubles } from '../test/support/random-doubles.ts';
import { ByteKernel } from '../worker/kernel/byte-kernel.ts';

/**
 * `npm run fuzz:csv -- --cases 100000 --numbers 3000000 --seed N`: the kernel against the reference on generated files,
 * and its numbers against `String()`. Ends with 1 at the first difference.
 */
const { values } = parseArgs({
  options: {
    cases: { type: 'string', default: '100000' },
    numbers: { type: 'string', default: '3000000' },
    seed: { type: 'string', default: '1' },
  },
});

function compareFiles(count: number, seed: string): void {
  let refused = 0;
  for (let index = 0; index < count; index += 1) {
    const bytes = csvCase(`${seed}/${index}`);
    const blockBytes = 1 + (index % 80);
    const reference = verdictOn(bytes, 'reference', bytes.length + 1);
    const kernel = verdictOn(bytes, 'kernel', blockBytes);
    if (reference.refusal !== undefined) refused += 1;
    if (isDeepStrictEqual(kernel, reference)) continue;
    process.stderr.write(
      `case ${index} of seed ${seed}, blocks of ${blockBytes}: ${JSON.stringify(bytes.toString('latin1'))}\n` +
        `kernel ${JSON.stringify(kernel)}\nreference ${JSON.stringify(reference)}\n`,
    );
    process.exit(1);
  }
  process.stdout.write(`${count} cases agree, ${refused} of them refusals (seed ${seed})\n`);
}

function compareNumbers(count: number, seed: string): void {
  const kernel = new ByteKernel('s', 64);
  for (const number of randomDoubles(count, seed)) {
    const text = kernel.textOf(number);
    if (text === String(number)) continue;
    process.stderr.write(`number ${number}, kernel ${text} (seed ${seed})\n`);
    process.exit(1);
  }
  process.stdout.write(`${count} numbers agree (seed ${seed})\n`);
}

compareFiles(Number(values.cases), values.seed);
compareNumbers(Number(values.numbers), values.seed);
