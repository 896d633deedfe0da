/**
 * The CSV program as the contract runs it: one record is one CSV file. A crash at any point leaves each output as it was
 * or complete, and running the same records again writes the same bytes.
 */
import { taskFromBody } from './body.ts';
import type { WorkerConfig } from './config.ts';
import { messageOf } from './contract/errors.ts';
import type { MessageRecord } from './contract/messages.ts';
import type { WorkerProgram } from './contract/run.ts';
import { runCsvTask } from './csv-task.ts';
import { watchProgress } from './progress.ts';
import type { Report } from './report.ts';
import { openRoot } from './storage.ts';
import { addTotals, noTotals, type Totals } from './totals.ts';

/** The program; `configure` is called when the run begins, so that what it throws is reported like any failure. */
export function csvProgram(configure: () => WorkerConfig, report: Report): WorkerProgram {
  const sum = noTotals();
  return {
    async start() {
      const root = await openRoot(configure().storageRoot);
      return (record, signal) => runRecord(record, { root, report, sum }, signal);
    },
    summary: () => ({ ...sum }),
    failed: ({ record, verdict, reason }) =>
      report.failed(record === undefined ? {} : { ...record, verdict }, reason),
    note: (text, error) => report.note({ error: messageOf(error) }, text),
  };
}

interface Run {
  readonly root: string;
  readonly report: Report;
  readonly sum: Totals;
}

async function runRecord(
  record: MessageRecord,
  { root, report, sum }: Run,
  signal: AbortSignal,
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
    report.done({ messageId, input, output }, totals, (performance.now() - startedAt) / 1000);
  } catch (error) {
    // Nothing of it was published.
    Object.assign(totals, { rowsOut: 0, bytesOut: 0 });
    throw error;
  } finally {
    stop();
    addTotals(sum, totals);
  }
}
