import { isDeepStrictEqual, parseArgs } from 'node:util';
import { csvCase, verdictOn } from '../test/support/differential-csv.ts';

/** `npm run fuzz:csv -- --cases 100000 --seed N`: the kernel against the reference on generated files. */
const { values } = parseArgs({
  options: { cases: { type: 'string', default: '100000' }, seed: { type: 'string', default: '1' } },
});

let refused = 0;
for (let index = 0; index < Number(values.cases); index += 1) {
  const bytes = csvCase(`${values.seed}/${index}`);
  const blockBytes = 1 + (index % 80);
  const reference = verdictOn(bytes, 'reference', bytes.length + 1);
  const kernel = verdictOn(bytes, 'kernel', blockBytes);
  if (reference.refusal !== undefined) refused += 1;
  if (!isDeepStrictEqual(kernel, reference)) {
    process.stderr.write(
      `case ${index} of seed ${values.seed}, blocks of ${blockBytes}: ${JSON.stringify(bytes.toString('latin1'))}\n` +
        `kernel ${JSON.stringify(kernel)}\nreference ${JSON.stringify(reference)}\n`,
    );
    process.exit(1);
  }
}
process.stdout.write(`${values.cases} cases agree, ${refused} of them refusals (seed ${values.seed})\n`);
