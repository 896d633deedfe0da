#!/usr/bin/env node
/**
 * The worker's entry point: signals, the choice between pod and plain command, the exit code.
 * A message's path from here: pod → messages → body → csv-task → (csv-rows, processed-value, publication) → result.
 */
import { runCommand } from './command.ts';
import { configFromEnvironment, isInPod, logFieldsOf, resultFileOf } from './config.ts';
import { WorkerError } from './errors.ts';
import type { ExitCode } from './exit-codes.ts';
import { runPod } from './pod.ts';
import { jsonReport, plainReport } from './report.ts';

const output = {
  say: (line: string) => void process.stdout.write(`${line}\n`),
  complain: (line: string) => void process.stderr.write(`${line}\n`),
};

/** As process 1 of a container there is no default action for SIGTERM: without a handler it would be ignored. */
function stopOnSignal(): AbortSignal {
  const stop = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    process.on(name, () => stop.abort(new WorkerError('retry', `stopped by ${name} before the end`)));
  }
  return stop.signal;
}

async function main(args: readonly string[], env: NodeJS.ProcessEnv): Promise<ExitCode> {
  const signal = stopOnSignal();
  if (args.length > 0 || !isInPod(env)) return runCommand(args, output, signal);
  const report = process.stdout.isTTY
    ? plainReport(output.say, output.complain)
    : jsonReport(logFieldsOf(env));
  return runPod(() => configFromEnvironment(env), { report, resultFile: resultFileOf(env) }, signal);
}

process.exitCode = await main(process.argv.slice(2), process.env);
