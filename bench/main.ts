import { benchCsv } from './csv.ts';

/** `npm run bench -- csv [--json FILE] [--rows 3000000,10000000] [--rounds 3] [--directory DIR]` */
const [name, ...args] = process.argv.slice(2);

if (name === 'csv') {
  await benchCsv(args);
} else {
  process.stderr.write(`got ${name ?? 'nothing'}, allowed: csv\n`);
  process.exitCode = 64;
}
