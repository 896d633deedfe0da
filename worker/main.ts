#!/usr/bin/env node
/**
 * The worker's entry point: the choice between pod and plain command, the exit code.
 * A message's path from here: contract/run → pod → body → csv-task → publication → contract/result.
 */
import { isInPod } from './contract/environment.ts';
import type { ExitCode } from './contract/exit-codes.ts';
import { stopSignal } from './contract/stop-signal.ts';

const output = {
  say: (line: string) => void process.stdout.write(`${line}\n`),
  complain: (line: string) => void process.stderr.write(`${line}\n`),
  // A dumb terminal shows control sequences as they are.
  terminal: process.stderr.isTTY && process.env['TERM'] !== 'dumb' ? process.stderr : undefined,
};

/** Either way loads only what it needs: the libraries of the other would take longer than a small file. */
async function main(args: readonly string[], env: NodeJS.ProcessEnv): Promise<ExitCode> {
  const signal = stopSignal();
  if (args.length === 0 && isInPod(env)) {
    const { runInPod } = await import('./pod.ts');
    return runInPod(env, process.stdout.isTTY ? output : undefined, signal);
  }
  const { runCommand } = await import('./command.ts');
  return runCommand(args, output, signal);
}

process.exitCode = await main(process.argv.slice(2), process.env);
