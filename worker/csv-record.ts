/**
 * One message from its body to its published files: done before? → sweep → `csv-task` → manifest. Killed at any point,
 * it leaves each output as it was or complete; run again, it ends with the same bytes.
 */
import { type Task, taskFromBody } from './body.ts';
import type { Limits } from './config.ts';
import { messageOf, WorkerError } from './contract/errors.ts';
import type { MessageRecord } from './contract/messages.ts';
import { type CsvTask, runCsvTask } from './csv-task.ts';
import type { EngineName } from './engine.ts';
import { factorsFrom } from './factors.ts';
import { sweepLeftovers, temporaryTag } from './leftovers.ts';
import { type Asked, findDone, identityOf, recordDone, taskHash } from './manifest.ts';
import { type OwnTransform, ownRows } from './own-transform.ts';
import { processedValues } from './processed-value.ts';
import type { Report } from './report.ts';
import { limitColumns, namedColumns, oneForOne, type RowsTransform } from './rows-transform.ts';
import type { Totals } from './totals.ts';

/** What all records of a run share. */
export interface Setting {
  /** Real path of the storage root. */
  readonly root: string;
  readonly limits: Limits;
  readonly own: OwnTransform | undefined;
  readonly engine?: EngineName | undefined;
  readonly report: Report;
}

/** The message's task; throws a `reject` WorkerError when its body is wrong. */
export function taskOf(record: MessageRecord, { own }: Setting): Task {
  const task = taskFromBody(record.body, record.messageId);
  if (own === undefined || task.columns === undefined) return task;
  throw new WorkerError(
    'reject',
    'body field "columns": got names for a worker with an own transform, allowed: no such field (the transform sees every column)',
  );
}

/**
 * Publishes the outputs of a task unless they stand already as an earlier run of the same message published them.
 * Counts into `totals`. Throws what `runCsvTask` throws. Resolves to whether there was work to do.
 */
export async function runRecord(
  record: MessageRecord,
  task: Task,
  { setting, totals }: { readonly setting: Setting; readonly totals: Totals },
  signal: AbortSignal,
): Promise<boolean> {
  const { root, report } = setting;
  const temporaryTagOfRecord = temporaryTag(record);
  const at = (path: string) => ({ root, relative: path, shown: path, temporaryTag: temporaryTagOfRecord });
  const csv: CsvTask = {
    input: at(task.input),
    output: at(task.output),
    seed: task.seed,
    rows: rowsOf(task, setting, at),
    engine: setting.engine,
    maxInputBytes: setting.limits.inputBytes,
  };
  const outputs = task.rejected === undefined ? [csv.output] : [csv.output, at(task.rejected)];
  const asked: Asked = { messageId: record.messageId, task: taskHash(task), input: csv.input, outputs };
  const done = await findDone(asked);
  if (done !== undefined) {
    Object.assign(totals, done.totals);
    return false;
  }
  await sweepLeftovers(outputs, record);
  // Taken before the reading: an input that is replaced meanwhile makes the manifest one of another input.
  const identity = await identityOf(csv.input).catch(() => undefined);
  await runCsvTask(csv, totals, signal);
  await recordDone(asked, identity ?? '', totals).catch((error: unknown) =>
    // The outputs are in place, which is what was asked for; a repetition will do the work again.
    report.note({ messageId: record.messageId, error: messageOf(error) }, 'manifest not written'),
  );
  return true;
}

function rowsOf(
  task: Task,
  { own, limits }: Setting,
  at: (path: string) => CsvTask['output'],
): CsvTask['rows'] {
  const { rejected, columns, seed } = task;
  if (own === undefined && columns === undefined && rejected === undefined) return undefined;
  const transform = limitColumns(transformOf(own, columns, seed), limits.columns);
  return { transform, rejected: rejected === undefined ? undefined : at(rejected) };
}

function transformOf(own: OwnTransform | undefined, columns: Task['columns'], seed: string): RowsTransform {
  if (own !== undefined) return ownRows(own, seed);
  const factors = factorsFrom(seed);
  return oneForOne(columns === undefined ? processedValues(factors) : namedColumns(columns, factors));
}
