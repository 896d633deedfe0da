/** `npm run bench -- csv`: the worker against the straightforward Python script, on this machine, runs interleaved. */
import { execFileSync } from 'node:child_process';
import { access, mkdtemp, rm, statfs, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { bundle } from '../scripts/bundle.ts';
import { type Quoting, writeInput } from './input.ts';
import { type Measured, measure, median } from './run.ts';

/** As in Dockerfile.worker. */
const NODE_FLAGS = ['--disable-proto=delete', '--max-old-space-size=64', '--max-semi-space-size=4'];

interface Case {
  readonly name: string;
  readonly rows: number;
  readonly timesPython: number;
  readonly peakMiB: number;
}

interface Programs {
  readonly [name: string]: (input: string, output: string) => readonly string[];
}

/** Runs what the arguments ask for; prints a table, and writes it as JSON if asked to. */
export async function benchCsv(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      json: { type: 'string' },
      rows: { type: 'string', default: '3000000,10000000' },
      rounds: { type: 'string', default: '3' },
      directory: { type: 'string' },
    },
  });
  const directory = await mkdtemp(join(values.directory ?? (await fastDirectory()), 'batchqueue-bench-'));
  try {
    const programs = await buildPrograms(directory);
    const cases: Case[] = [];
    for (const rows of values.rows.split(',').map(Number)) {
      for (const quoting of ['none', '5 %', 'all'] as const) {
        cases.push(
          ...(await benchInput({ directory, programs, rows, quoting, rounds: Number(values.rounds) })),
        );
      }
    }
    if (values.json !== undefined) await writeFile(values.json, `${JSON.stringify({ cases }, null, 2)}\n`);
  } finally {
    await rm(directory, { recursive: true });
  }
}

/** Memory if there is enough of it: the programs are compared, not the disk. */
async function fastDirectory(): Promise<string> {
  const space = await statfs('/dev/shm').catch(() => undefined);
  return space !== undefined && space.bavail * space.bsize > 2 ** 31 ? '/dev/shm' : tmpdir();
}

async function buildPrograms(directory: string): Promise<Programs> {
  const worker = join(directory, 'worker.mjs');
  await writeFile(worker, await bundle('worker/main.ts'));
  const node = [process.execPath, ...NODE_FLAGS, worker];
  const script = join(import.meta.dirname, 'reference.py');
  const limit = join(directory, 'limit');
  const hasLimit = await compiled(join(import.meta.dirname, 'limit.cpp'), limit);
  return {
    python: (input, output) => ['python3', script, input, output],
    default: (input, output) => [...node, input, output],
    reference: (input, output) => [...node, input, output, '--engine', 'reference'],
    ...(hasLimit ? { 'C++': (input: string, output: string) => [limit, input, output] } : {}),
  };
}

async function compiled(source: string, program: string): Promise<boolean> {
  try {
    execFileSync('g++', ['-O2', '-std=c++17', '-o', program, source], { stdio: 'ignore' });
    await access(program);
    return true;
  } catch {
    return false;
  }
}

interface Input {
  readonly directory: string;
  readonly programs: Programs;
  readonly rows: number;
  readonly quoting: Quoting;
  readonly rounds: number;
}

/** What is run on which input: the reference and the limit only on plain rows, which is what they are for. */
function programsFor(quoting: Quoting, programs: Programs): [string, Programs[string]][] {
  const all = Object.entries(programs);
  return quoting === 'none' ? all : all.filter(([name]) => name === 'python' || name === 'default');
}

async function benchInput({ directory, programs, rows, quoting, rounds }: Input): Promise<Case[]> {
  const input = join(directory, 'input.csv');
  await writeInput(input, rows, quoting);
  const chosen = programsFor(quoting, programs);
  const runs = new Map<string, Measured[]>(chosen.map(([name]) => [name, []]));
  for (let round = 0; round < rounds; round += 1) {
    for (const [name, command] of chosen) {
      const output = join(directory, 'output.csv');
      runs.get(name)?.push(await measure(command(input, output)));
      await rm(output);
    }
  }
  const python = runs.get('python') ?? [];
  return [...runs].flatMap(([name, measured]) =>
    name === 'python' ? [] : told(caseName(name, quoting), rows, measured, python),
  );
}

/** The medians of one program, printed. Ratios are taken round by round: a machine that is busy for a while is so for both. */
function told(name: string, rows: number, measured: readonly Measured[], python: readonly Measured[]): Case {
  const times = (of: 'seconds' | 'cpuSeconds') =>
    rounded(median(measured.map((one, round) => (python[round]?.[of] ?? 0) / one[of])));
  const peakMiB = rounded(Math.max(...measured.map((one) => one.peakMiB)));
  const seconds = rounded(median(python.map((one) => one.seconds)));
  const one = { name, rows, timesPython: times('seconds'), peakMiB };
  process.stdout.write(
    `${name.padEnd(12)} ${rows} rows ${one.timesPython.toFixed(1).padStart(6)} x Python (${seconds} s), ` +
      `${times('cpuSeconds').toFixed(1).padStart(5)} x in processor time, peak ${peakMiB} MiB\n`,
  );
  return one;
}

function caseName(program: string, quoting: Quoting): string {
  if (program !== 'default') return program;
  return quoting === 'none' ? 'plain' : `${quoting} quoted`;
}

function rounded(number: number): number {
  return Math.round(number * 100) / 100;
}
