/**
 * A run inside a Job: every record of the messages file in order, then the result, then the exit code. A crash at any
 * point leaves each output as it was or complete, and running the same records again writes the same bytes.
 */
import { taskFromBody } from './body.ts';
import type { WorkerConfig } from './config.ts';
import { runCsvTask } from './csv-task.ts';
import { messageOf, type Verdict } from './errors.ts';
import { type ExitCode, exitCodeFor, verdictOf } from './exit-codes.ts';
import { type MessageRecord, readMessages } from './messages.ts';
import { watchProgress } from './progress.ts';
import type { Report } from './report.ts';
import { type Result, writeResult } from './result.ts';
import { openRoot } from './storage.ts';
import { addTotals, noTotals, type Totals } from './totals.ts';

/** Where a run writes to, besides the outputs. */
export interface Run {
  readonly report: Report;
  readonly resultFile: string;
}

interface Failure {
  readonly index: number;
  readonly verdict: Verdict;
  readonly reason: string;
}

/** Everything a run found out; grows while it goes on. */
interface Outcome {
  readonly succeeded: number[];
  readonly failures: Failure[];
  readonly totals: Totals;
}

/** Processes all records and reports the result. Never throws: whatever happens is in the exit code. */
export async function runPod(
  configure: () => WorkerConfig,
  run: Run,
  signal: AbortSignal,
): Promise<ExitCode> {
  const startedAt = performance.now();
  const outcome: Outcome = { succeeded: [], failures: [], totals: noTotals() };
  const fatal: unknown[] = [];
  let recordCount = 0;
  try {
    const config = configure();
    const records = await readMessages(config.messagesFile);
    recordCount = records.length;
    await runRecords(records, await openRoot(config.storageRoot), { outcome, report: run.report, signal });
  } catch (error) {
    fatal.push(error);
    run.report.failed({}, messageOf(error));
  }
  const verdicts = [...fatal.map(verdictOf), ...outcome.failures.map(({ verdict }) => verdict)];
  const result = resultOf(outcome, { fatal, recordCount, seconds: secondsSince(startedAt) });
  const unwritten = await writeResult(run.resultFile, result);
  if (unwritten !== undefined) run.report.note({ error: messageOf(unwritten) }, 'result file not written');
  return exitCodeFor(verdicts);
}

interface Records {
  readonly outcome: Outcome;
  readonly report: Report;
  readonly signal: AbortSignal;
}

/** One failed record does not stop the others, except when the set-up is wrong for all of them or we were told to stop. */
async function runRecords(records: readonly MessageRecord[], root: string, run: Records): Promise<void> {
  for (const [index, record] of records.entries()) {
    run.signal.throwIfAborted();
    try {
      await runRecord(record, root, run);
      run.outcome.succeeded.push(index);
    } catch (error) {
      const verdict = verdictOf(error);
      if (run.signal.aborted || verdict === 'misconfigured') throw error;
      run.outcome.failures.push({ index, verdict, reason: messageOf(error) });
      run.report.failed({ messageId: record.messageId, index, verdict }, messageOf(error));
    }
  }
}

async function runRecord(
  record: MessageRecord,
  root: string,
  { outcome, report, signal }: Records,
): Promise<void> {
  const { messageId } = record;
  const { input, output, seed } = taskFromBody(record.body, messageId);
  const totals = noTotals();
  const startedAt = performance.now();
  const stop = watchProgress(totals, (progress) => report.progress({ messageId, input, output }, progress));
  try {
    const task = {
      input: { root, relative: input, shown: input },
      output: { root, relative: output, shown: output },
      seed,
    };
    await runCsvTask(task, totals, signal);
    report.done({ messageId, input, output }, totals, secondsSince(startedAt));
  } catch (error) {
    // Nothing of it was published.
    Object.assign(totals, { rowsOut: 0, bytesOut: 0 });
    throw error;
  } finally {
    stop();
    addTotals(outcome.totals, totals);
  }
}

interface End {
  readonly fatal: readonly unknown[];
  readonly recordCount: number;
  readonly seconds: number;
}

function resultOf(outcome: Outcome, end: End): Result {
  const { succeeded, failures, totals } = outcome;
  const reasons = failures.map(({ index, reason }) =>
    end.recordCount > 1 ? `message ${index}: ${reason}` : reason,
  );
  reasons.unshift(...end.fatal.map(messageOf));
  return {
    succeeded,
    rejected: failures.filter(({ verdict }) => verdict === 'reject').map(({ index }) => index),
    reason: reasons.length === 0 ? undefined : reasons.join('; '),
    totals,
    seconds: end.seconds,
  };
}

function secondsSince(startedAt: number): number {
  return (performance.now() - startedAt) / 1000;
}
