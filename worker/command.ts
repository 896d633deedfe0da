/** The plain command: one file in, one file out, as in a shell. */
import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { parseArgs } from 'node:util';
import { messageOf, WorkerError } from './contract/errors.ts';
import { EXIT, type ExitCode, exitCodeFor, verdictOf } from './contract/exit-codes.ts';
import { type CsvTask, runCsvTask } from './csv-task.ts';
import { type EngineName, engineFrom } from './engine.ts';
import { sweepLeftovers, temporaryTag } from './leftovers.ts';
import { watchProgress } from './progress.ts';
import { type Output, plainReport, terminalReport } from './report.ts';
import { locatePlain, pathOf } from './storage.ts';
import { noTotals } from './totals.ts';

const USAGE = `usage: batchqueue-worker <input.csv> <output.csv> [--seed <text>] [--engine kernel|reference]

Reads ID,Value and writes ID,Value,ProcessedValue, where ProcessedValue is Value
times a factor drawn uniformly from [0.8, 1.2). The same seed gives the same
factors; without --seed it is the file name of the input. The output appears
complete or not at all. Both engines write the same bytes; "reference" is slow
and passes every row through csv-parse and csv-stringify.

Without arguments, and with BATCHQUEUE_MESSAGES_FILE set, it processes the
messages in that file, as the container of a BatchQueue's Job.

exit codes: 0 done, 64 wrong usage, 65 the input can never be processed,
75 failed now but may succeed later, 78 wrong set-up`;

/** A bar that moves. */
const BAR_PERIOD_MS = 200;

interface Arguments {
  readonly input: string;
  readonly output: string;
  readonly seed: string;
  readonly engine: EngineName;
}

/** Runs the command and returns its exit code; never throws. */
export async function runCommand(
  args: readonly string[],
  output: Output,
  signal: AbortSignal,
): Promise<ExitCode> {
  if (args.includes('--help') || args.includes('-h')) {
    output.say(USAGE);
    return EXIT.done;
  }
  const plain = plainReport(output.say, output.complain);
  const report = output.terminal === undefined ? plain : terminalReport(plain, output.terminal);
  try {
    const named = argumentsFrom(args);
    const totals = noTotals();
    const startedAt = performance.now();
    const inputBytes = await stat(named.input).then(
      ({ size }) => size,
      () => 0,
    );
    const stop = watchProgress(
      totals,
      (progress) => report.progress({ ...named, inputBytes }, progress),
      output.terminal && BAR_PERIOD_MS,
    );
    try {
      await runCsvTask(await taskOf(named), totals, signal);
    } finally {
      stop();
    }
    report.done(named, totals, (performance.now() - startedAt) / 1000);
    return EXIT.done;
  } catch (error) {
    report.failed({}, `batchqueue-worker: ${messageOf(error)}`);
    if (verdictOf(error) === 'usage') output.complain(USAGE);
    return exitCodeFor([verdictOf(error)]);
  }
}

/** Removes what an earlier command that was killed left beside the output. */
async function taskOf({ input, output, seed, engine }: Arguments): Promise<CsvTask> {
  const [from, to] = [await locatePlain(input, 'input'), await locatePlain(output, 'output')];
  // The output stands for the message, which a command does not have.
  const writer = { messageId: pathOf(to), attempt: 1 };
  await sweepLeftovers([to], writer);
  return { input: from, output: { ...to, temporaryTag: temporaryTag(writer) }, seed, engine };
}

function argumentsFrom(args: readonly string[]): Arguments {
  const { positionals, values } = parsed(args);
  const [input, output] = positionals;
  if (input === undefined || output === undefined || positionals.length !== 2) {
    throw new WorkerError('usage', `got ${positionals.length} file names, allowed: 2 (input and output)`);
  }
  // Without the directory, so that the same file gives the same output wherever the command is started.
  return { input, output, seed: values.seed ?? basename(input), engine: engineNamed(values.engine) };
}

function engineNamed(name: string | undefined): EngineName {
  try {
    return engineFrom(name);
  } catch (error) {
    throw new WorkerError('usage', messageOf(error), error);
  }
}

function parsed(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { seed: { type: 'string' }, engine: { type: 'string' } },
    });
  } catch (error) {
    throw new WorkerError('usage', messageOf(error), error);
  }
}
