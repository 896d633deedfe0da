#!/usr/bin/env node
/**
 * The worker's entry point: the choice between pod and plain command, the exit code.
 * A message's path from here: contract/run → pod → body → csv-task → publication → contract/result.
 */
import { runCommand } from './command.ts';
import { configFromEnvironment, logFieldsOf } from './config.ts';
import { isInPod } from './contract/environment.ts';
import type { ExitCode } from './contract/exit-codes.ts';
import { runMessages } from './contract/run.ts';
import { stopSignal } from './contract/stop-signal.ts';
import { csvProgram } from './pod.ts';
import { jsonReport, plainReport } from './report.ts';

const output = {
  say: (line: string) => void process.stdout.write(`${line}\n`),
  complain: (line: string) => void process.stderr.write(`${line}\n`),
  // A dumb terminal shows control sequences as they are.
  terminal: process.stderr.isTTY && process.env['TERM'] !== 'dumb' ? process.stderr : undefined,
};

async function main(args: readonly string[], env: NodeJS.ProcessEnv): Promise<ExitCode> {
  const signal = stopSignal();
  if (args.length > 0 || !isInPod(env)) return runCommand(args, output, signal);
  const report = process.stdout.isTTY
    ? plainReport(output.say, output.complain)
    : jsonReport(logFieldsOf(env));
  return runMessages(
    env,
    csvProgram(() => configFromEnvironment(env), report),
    signal,
  );
}

process.exitCode = await main(process.argv.slice(2), process.env);
