import { parseArgs } from 'node:util';
import { type Hunt, hunt, playSeeds } from './campaigns.ts';
import { plant } from './mutants/mutant.ts';
import { MUTANTS } from './mutants/table.ts';
import { RARE_STATES } from './states.ts';
import type { Violation } from './truth/view.ts';

const USAGE = `Deterministic simulation: the operator on a virtual clock, with models of SQS and Kubernetes.

  npm run sim -- --seed N [--mutant NAME]    replay one seed, with a trace
  npm run sim -- --seeds COUNT [--from N]    play many; exit code 1 at the first violation
  npm run sim -- --mutant NAME [--from N]    look for one planted fault
  npm run sim -- --mutants                   look for all of them
`;
/** A planted fault must be found within so many seeds. */
const LIMIT = 500;
const EX_USAGE = 64;

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    seeds: { type: 'string' },
    from: { type: 'string' },
    mutant: { type: 'string' },
    mutants: { type: 'boolean' },
  },
});
const from = values.from === undefined ? undefined : Number(values.from);
if (values.seed !== undefined) await replay(Number(values.seed), values.mutant);
else if (values.seeds !== undefined) await many(Number(values.seeds), from ?? 1);
else if (values.mutant !== undefined) await one(values.mutant);
else if (values.mutants) await all();
else {
  process.stderr.write(USAGE);
  process.exitCode = EX_USAGE;
}

async function replay(seed: number, name: string | undefined): Promise<void> {
  const mutant = MUTANTS.find((each) => each.name === name);
  if (mutant) plant(mutant);
  const { play } = await import('./scenario/play.ts');
  const { violations, seen, virtualMs } = await play(seed, (line) => void process.stdout.write(`${line}\n`));
  process.stdout.write(`\nseen: ${seen.join(', ')}\n${minutes(virtualMs)} of virtual time\n`);
  if (violations.length === 0) process.stdout.write(`seed ${seed}: nothing was broken\n`);
  else fail(seed, violations, mutant?.name);
}

async function many(count: number, first: number): Promise<void> {
  const startMs = Date.now();
  const tell = (played: number) => {
    if (played % 100 === 0) process.stderr.write(`${played} of ${count}\n`);
  };
  const { played, broken, seen, virtualMs } = await playSeeds(first, count, tell);
  const seconds = (Date.now() - startMs) / 1_000;
  for (const [state, times] of seen)
    process.stdout.write(`${String(times).padStart(7)} ${state}${RARE_STATES.has(state) ? ' (rare)' : ''}\n`);
  const rate = (played / seconds).toFixed(1);
  process.stdout.write(
    `${played} seeds in ${seconds.toFixed(1)} s, ${rate} a second, ${minutes(virtualMs)} of virtual time\n`,
  );
  if (broken) fail(broken.seed, broken.violations);
}

async function one(name: string): Promise<void> {
  tellHunt(await hunt(name, LIMIT, from ?? 1));
}

async function all(): Promise<void> {
  for (const { name } of MUTANTS) tellHunt(await hunt(name, LIMIT, from ?? 1));
}

function tellHunt({ mutant, found, played }: Hunt): void {
  if (!found) {
    process.stdout.write(`${mutant}: NOT FOUND in ${played} seeds\n`);
    process.exitCode = 1;
    return;
  }
  const [violation] = found.violations;
  process.stdout.write(
    `${mutant}: found after ${played} seeds (seed ${found.seed}): ${violation?.invariant}: ${violation?.text}\n`,
  );
}

function fail(seed: number, violations: readonly Violation[], mutant?: string): void {
  for (const { invariant, text, atMs } of violations)
    process.stdout.write(`seed ${seed} breaks ${invariant} after ${(atMs / 1_000).toFixed(3)} s: ${text}\n`);
  const planted = mutant === undefined ? '' : ` --mutant ${mutant}`;
  process.stdout.write(`replay: npm run sim -- --seed ${seed}${planted}\n`);
  process.exitCode = 1;
}

function minutes(ms: number): string {
  return `${(ms / 60_000).toFixed(1)} min`;
}
