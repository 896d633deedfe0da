/** `npm run cluster -- up | down | status`. Exit codes: 0 done, 1 failed, 64 (EX_USAGE) not understood. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Command } from './arguments.ts';
import { parseArguments, USAGE } from './arguments.ts';
import type { ClusterState } from './inventory.ts';
import { clusterStates, healthOf, takeDown } from './inventory.ts';
import type { ClusterSize } from './slots.ts';
import { defaultStateDirectory } from './slots.ts';
import { supervisorMessageSchema } from './supervisor-message.ts';

const EX_USAGE = 64;

try {
  process.exitCode = await execute(parseArguments(process.argv.slice(2), process.getuid?.() === 0));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}

async function execute(command: Command): Promise<number> {
  switch (command.kind) {
    case 'up':
      return up(command.size);
    case 'down':
      return down(command.which);
    case 'status':
      return printStatus();
    case 'help':
      console.log(USAGE);
      return 0;
    case 'mistake':
      console.error(`${command.problem}\n\n${USAGE}`);
      return EX_USAGE;
    default:
      return command satisfies never;
  }
}

/** Ctrl-C ends this process, hence the channel, hence the supervisor: a cluster half up does not stay. */
function up(size: ClusterSize): Promise<number> {
  const supervisor = fileURLToPath(new URL('./supervisor.ts', import.meta.url));
  const child = spawn(process.execPath, [supervisor, size], {
    detached: true,
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) =>
      reject(new Error(`the launcher ended unexpectedly (${code ?? signal})`)),
    );
    child.on('message', (message) => {
      const said = supervisorMessageSchema.parse(message);
      if (said.kind === 'progress') return console.log(said.line);
      child.removeAllListeners('exit').unref();
      if (said.kind === 'failed') return reject(new Error(said.reason));
      console.log(`cluster ${said.name} is ready; kubectl: ${said.kubectlPath}`);
      console.log(`kubeconfig: ${said.kubeconfigPath}`);
      console.log(`export KUBECONFIG=${said.kubeconfigPath}`);
      return resolve(0);
    });
  });
}

async function down(which: Extract<Command, { kind: 'down' }>['which']): Promise<number> {
  const states = await clusterStates(defaultStateDirectory());
  const chosen = choose(states, which);
  if (typeof chosen === 'string') {
    console.error(chosen);
    return 1;
  }
  if (chosen.length === 0) console.log('there is no cluster');
  for (const state of chosen) {
    await takeDown(state);
    console.log(`removed ${state.name}`);
  }
  return 0;
}

function choose(
  states: readonly ClusterState[],
  which: Extract<Command, { kind: 'down' }>['which'],
): readonly ClusterState[] | string {
  const names = states.map(({ name }) => name).join(', ');
  if (which === 'all') return states;
  if (which === 'only')
    return states.length > 1 ? `there are several clusters (${names}): name one, or say --all` : states;
  const named = states.filter(({ name }) => name === which.name);
  return named.length > 0
    ? named
    : `there is no cluster ${which.name}${names === '' ? '' : ` (there is ${names})`}`;
}

async function printStatus(): Promise<number> {
  const states = await clusterStates(defaultStateDirectory());
  const rows = await Promise.all(
    states.map(async (state) => {
      const { name, size, createdAtMs, kubeconfigPath } = state.record;
      return [name, size, ageOf(Date.now() - createdAtMs), await healthOf(state), kubeconfigPath ?? '-'];
    }),
  );
  printTable([['NAME', 'SIZE', 'AGE', 'HEALTH', 'KUBECONFIG'], ...rows]);
  return 0;
}

function ageOf(ageMs: number): string {
  const minutes = Math.floor(ageMs / 60_000);
  if (minutes < 1) return `${Math.floor(ageMs / 1000)}s`;
  return minutes < 120 ? `${minutes}m` : `${Math.floor(minutes / 60)}h`;
}

function printTable(rows: readonly (readonly string[])[]): void {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  for (const row of rows)
    console.log(
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    );
}
