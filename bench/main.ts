import { benchCsv } from './csv.ts';
import { benchDispatch } from './dispatch.ts';
import { benchFailover } from './failover.ts';
import { benchIdle } from './idle.ts';

/**
 * `npm run bench -- NAME [--json FILE]`
 *
 *     csv [--rows 3000000,10000000] [--rounds 3] [--directory DIR]
 *     dispatch [--short] [--profile DIR]
 *     idle [--short]
 *     failover [--rounds 5]
 */
const BENCHMARKS: Readonly<Record<string, (args: readonly string[]) => Promise<void>>> = {
  csv: benchCsv,
  dispatch: benchDispatch,
  idle: benchIdle,
  failover: benchFailover,
};

const [name = 'nothing', ...args] = process.argv.slice(2);
const benchmark = BENCHMARKS[name];

if (benchmark) {
  await benchmark(args);
} else {
  process.stderr.write(`got ${name}, allowed: ${Object.keys(BENCHMARKS).join(', ')}\n`);
  process.exitCode = 64;
}
