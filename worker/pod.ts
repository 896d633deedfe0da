/** The CSV program as the contract runs it: one record is one CSV file. */
import type { Task } from './body.ts';
import { configFromEnvironment, logFieldsOf, type WorkerConfig } from './config.ts';
import type { Environment } from './contract/environment.ts';
import { messageOf } from './contract/errors.ts';
import type { ExitCode } from './contract/exit-codes.ts';
import type { MessageRecord } from './contract/messages.ts';
import { runMessages, type WorkerProgram } from './contract/run.ts';
import { runRecord, type Setting, taskOf } from './csv-record.ts';
import { jsonReport } from './json-report.ts';
import { loadTransform } from './own-transform.ts';
import { watchProgress } from './progress.ts';
import { type Output, plainReport, type Report } from './report.ts';
import { openRoot } from './storage.ts';
import { addTotals, noTotals, type Totals } from './totals.ts';

/** Runs the messages of a Job and returns the exit code; never throws. Somebody who looks on gets plain lines. */
export async function runInPod(
  env: Environment,
  onlooker: Output | undefined,
  signal: AbortSignal,
): Promise<ExitCode> {
  const report = onlooker ? plainReport(onlooker.say, onlooker.complain) : jsonReport(logFieldsOf(env));
  return runMessages(
    env,
    csvProgram(() => configFromEnvironment(env), report),
    signal,
  );
}

/** The program; `configure` is called when the run begins, so that what it throws is reported like any failure. */
function csvProgram(configure: () => WorkerConfig, report: Report): WorkerProgram {
  const sum = noTotals();
  return {
    async start() {
      const { storageRoot, transformFile, limits, engine } = configure();
      const own = transformFile === undefined ? undefined : await loadTransform(transformFile);
      const setting = { root: await openRoot(storageRoot), limits, own, engine, report };
      return (record, signal) => observed(record, setting, sum, signal);
    },
    summary: () => ({ ...sum }),
    failed: ({ record, verdict, reason }) =>
      report.failed(record === undefined ? {} : { ...record, verdict }, reason),
    note: (text, error) => report.note({ error: messageOf(error) }, text),
  };
}

/** `runRecord` with its progress and its end reported and counted. */
async function observed(
  record: MessageRecord,
  setting: Setting,
  sum: Totals,
  signal: AbortSignal,
): Promise<void> {
  const { report } = setting;
  const task: Task = taskOf(record, setting);
  const named = { messageId: record.messageId, input: task.input, output: task.output };
  const totals = noTotals();
  const startedAt = performance.now();
  const stop = watchProgress(totals, (progress) => report.progress(named, progress));
  try {
    const wasWork = await runRecord(record, task, { setting, totals }, signal);
    if (wasWork) report.done(named, totals, (performance.now() - startedAt) / 1000);
    else report.foundDone(named, totals);
  } catch (error) {
    // Nothing of it was published.
    Object.assign(totals, { rowsOut: 0, rowsRejected: 0, bytesOut: 0 });
    throw error;
  } finally {
    stop();
    addTotals(sum, totals);
  }
}
