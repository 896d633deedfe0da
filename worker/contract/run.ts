/**
 * A run inside a Job, from the messages file to the exit code: every record in order, then the result file. This folder
 * imports nothing but Node, so that it can be copied for a worker of one's own (docs/workers.md, docs/examples/typescript).
 */
import { completionIndexOf, type Environment, messagesFileOf, resultFileOf } from './environment.ts';
import { messageOf, type Verdict, WorkerError } from './errors.ts';
import { type ExitCode, exitCodeFor, verdictOf } from './exit-codes.ts';
import { type MessageRecord, readMessages, type Selection } from './messages.ts';
import { type Summary, writeResult } from './result.ts';

/**
 * Does the work of one record and resolves when its result is safely stored. Rejects with a WorkerError that says what
 * a failure means for the message; any other error is taken as `retry`. Must stop soon after `signal` is aborted.
 * May be called for a record that was worked on before, even one that is being worked on elsewhere at the same time.
 */
export type Work = (record: MessageRecord, signal: AbortSignal) => Promise<void>;

/** A worker as the contract sees it. */
export interface WorkerProgram {
  /** Checks the set-up before the first record. Throws a `misconfigured` WorkerError when no record can succeed. */
  start(): Promise<Work>;
  /** Figures for the result file, asked for once at the end. */
  summary?(): Summary;
  /** Told of every record that failed, and of a failure of the whole run (without `record`). For logs. */
  failed(failure: Failure): void;
  /** Told of what changes nothing about the outcome. For logs. */
  note(text: string, error: unknown): void;
}

export interface Failure {
  readonly verdict: Verdict;
  readonly reason: string;
  /** When another attempt may succeed, if the failure says so. */
  readonly retryAfterSeconds?: number | undefined;
  readonly record?: { readonly index: number; readonly messageId: string };
}

/** What a run has found out so far. */
interface Outcome {
  readonly succeeded: number[];
  readonly failures: Failure[];
  recordCount: number;
}

/**
 * Works on all selected records, writes the result file and resolves to the exit code. Never throws: whatever happens
 * is in the exit code. A crash at any point names nothing as done that is not.
 */
export async function runMessages(
  env: Environment,
  program: WorkerProgram,
  signal: AbortSignal,
): Promise<ExitCode> {
  const startedAt = performance.now();
  const outcome: Outcome = { succeeded: [], failures: [], recordCount: 0 };
  const failRun = (error: unknown) => fail(failureOf(error), outcome, program);
  // Both are tried, so that all that is wrong with a set-up is told at once.
  const [records, work] = await Promise.allSettled([selectedRecords(env), program.start()]);
  if (records.status === 'rejected') failRun(records.reason);
  if (work.status === 'rejected') failRun(work.reason);
  if (records.status === 'fulfilled' && work.status === 'fulfilled') {
    outcome.recordCount = records.value.size;
    await runRecords(records.value, { work: work.value, outcome, program, signal }).catch(failRun);
  }
  const unwritten = await writeResult(resultFileOf(env), {
    succeeded: outcome.succeeded,
    rejected: outcome.failures.flatMap(({ verdict, record }) =>
      verdict === 'reject' && record !== undefined ? [record.index] : [],
    ),
    retryAfterSeconds: latestRetry(outcome),
    reason: reasonOf(outcome),
    summary: { ...program.summary?.(), seconds: secondsSince(startedAt) },
  });
  if (unwritten !== undefined) program.note('result file not written', unwritten);
  return exitCodeFor(outcome.failures.map(({ verdict }) => verdict));
}

async function selectedRecords(env: Environment): Promise<Selection> {
  return readMessages(messagesFileOf(env), completionIndexOf(env));
}

interface Run {
  readonly work: Work;
  readonly outcome: Outcome;
  readonly program: WorkerProgram;
  readonly signal: AbortSignal;
}

/**
 * One failed record does not stop the others, except when the set-up is wrong for all of them, when we were told to
 * stop, or when they come from a FIFO queue: what follows a failed record must not overtake it.
 */
async function runRecords(records: Selection, { work, outcome, program, signal }: Run): Promise<void> {
  for (const [index, record] of records) {
    signal.throwIfAborted();
    try {
      await work(record, signal);
      outcome.succeeded.push(index);
    } catch (error) {
      const failure = failureOf(error);
      if (signal.aborted || failure.verdict === 'misconfigured') throw signal.aborted ? signal.reason : error;
      const { messageId } = record;
      fail({ ...failure, record: { index, messageId } }, outcome, program);
      if (isOfFifoQueue(record)) return;
    }
  }
}

/** SQS numbers the messages of FIFO queues, and no others. */
function isOfFifoQueue({ attributes }: MessageRecord): boolean {
  return attributes['SequenceNumber'] !== undefined;
}

function failureOf(error: unknown): Failure {
  const retryAfterSeconds = error instanceof WorkerError ? error.retryAfterSeconds : undefined;
  return { verdict: verdictOf(error), reason: messageOf(error), retryAfterSeconds };
}

/** There is one time for all, so the longest: no record is tried before it may succeed. */
function latestRetry({ failures }: Outcome): number | undefined {
  const wishes = failures.flatMap(({ retryAfterSeconds }) => retryAfterSeconds ?? []);
  return wishes.length === 0 ? undefined : Math.max(...wishes);
}

function fail(failure: Failure, outcome: Outcome, program: WorkerProgram): void {
  outcome.failures.push(failure);
  program.failed(failure);
}

/** What concerns the whole run stands first; the position of a record is told when there are several. */
function reasonOf({ failures, recordCount }: Outcome): string | undefined {
  if (failures.length === 0) return undefined;
  const ofRun = failures.filter(({ record }) => record === undefined);
  const ofRecords = failures.filter(({ record }) => record !== undefined);
  return [...ofRun, ...ofRecords]
    .map(({ record, reason }) =>
      record === undefined || recordCount === 1 ? reason : `message ${record.index}: ${reason}`,
    )
    .join('; ');
}

function secondsSince(startedAt: number): number {
  return Math.round(performance.now() - startedAt) / 1000;
}
