import { parseIndexes } from './index-list.ts';
import { wasTakenAway } from './infrastructure-fault.ts';
import { CONTRACT_EXIT_CODES } from './job.ts';
import type {
  Claim,
  HeldMessage,
  IndexProgress,
  PodsOfJob,
  WorkerReport,
  WorkerResult,
} from './job-facts.ts';
import { resultFromFailure } from './worker-result.ts';

/** `EX_DATAERR` of sysexits.h: these messages can never succeed. */
const EX_DATAERR = 65;
/** The Job controller's reason for a Job that outlasted `activeDeadlineSeconds`. */
const DEADLINE_EXCEEDED = 'DeadlineExceeded';

/** What a worker's word means for one message: done, to be tried again, or never to succeed. */
export interface Judged {
  readonly message: HeldMessage;
  readonly means: 'done' | 'retry' | 'reject';
  /** The worker's wish, in seconds; undefined: by backoff. */
  readonly retryAfterSeconds: number | undefined;
}

export interface Judgement {
  readonly judged: readonly Judged[];
  /** For annotation, status and event; undefined when there is nothing to tell. */
  readonly result: WorkerResult | undefined;
}

/**
 * A Job that succeeded as a whole. Exit code 0 says that all messages are done; a result file that says otherwise is a
 * contradiction, and then nothing is deleted.
 */
export function judgeSuccess(claim: Claim, pods: PodsOfJob): Judgement {
  const report = pods.result;
  if (report && contradicts(report, claim)) {
    const message = `exit code 0 says all, the result file says otherwise; nothing was deleted. ${report.message}`;
    return { judged: all(claim, 'retry'), result: { exitCode: 0, reason: 'ResultConflict', message } };
  }
  const result = report?.message ? { exitCode: 0, reason: 'Completed', message: report.message } : undefined;
  return { judged: all(claim, 'done'), result };
}

/** A Job that failed as a whole: a failing exit code plus lists is partial success, and what is not named is retried. */
export function judgeFailure(claim: Claim, pods: PodsOfJob): Judgement {
  const result = resultOfFailure(claim, pods);
  const report = claim.failure?.reason === DEADLINE_EXCEEDED ? undefined : pods.result;
  const size = claim.ledger?.messages.length ?? 0;
  const succeeded =
    report?.succeededIndexes === undefined ? undefined : parseIndexes(report.succeededIndexes, size);
  const rejected =
    report?.rejectedIndexes === undefined ? undefined : parseIndexes(report.rejectedIndexes, size);
  const named = succeeded !== undefined || rejected !== undefined;
  const judged = claim.held.map((message): Judged => {
    const { index } = message;
    const isRejected = named ? rejected?.has(index) === true : result.exitCode === EX_DATAERR;
    const means = isRejected ? 'reject' : succeeded?.has(index) ? 'done' : 'retry';
    return { message, means, retryAfterSeconds: report?.retryAfterSeconds };
  });
  return { judged, result };
}

/**
 * An Indexed Job, whose messages end one by one. `isOver`: none of its indexes runs any more, so what has neither
 * completed nor failed never will. What a pod of it has done is done all the same: the Job controller need not count the
 * pods of a Job that is being deleted.
 */
export function judgeIndexes(claim: Claim, pods: PodsOfJob | undefined, isOver: boolean): Judgement {
  const judged = claim.held.flatMap((message) => judgeIndex(message, claim.indexes, { pods, isOver }) ?? []);
  const failing = judged.find(({ means }) => means !== 'done')?.message.index;
  const reported = failing === undefined ? undefined : pods?.resultOfIndex.get(failing);
  const result = failing === undefined ? undefined : resultOnly(reported ?? resultFromFailure(claim.failure));
  return { judged, result };
}

interface IndexContext {
  readonly pods: PodsOfJob | undefined;
  readonly isOver: boolean;
}

function judgeIndex(
  message: HeldMessage,
  indexes: IndexProgress | undefined,
  context: IndexContext,
): Judged | undefined {
  const { index } = message;
  if (indexes?.completed.has(index) || hasSucceeded(index, context))
    return { message, means: 'done', retryAfterSeconds: undefined };
  if (!context.isOver && !(indexes?.failed.has(index) && hasBeenHeard(index, context.pods))) return undefined;
  const report = context.pods?.resultOfIndex.get(index);
  const means = report?.exitCode === EX_DATAERR ? 'reject' : 'retry';
  return { message, means, retryAfterSeconds: report?.retryAfterSeconds };
}

/** While the Job goes on the Job controller will say so itself. */
function hasSucceeded(index: number, { pods, isOver }: IndexContext): boolean {
  return isOver && pods?.succeededIndexes?.has(index) === true;
}

/**
 * False while its worker's word may still come: the watch of Jobs may be ahead of what is known of pods. And for a pod
 * that was taken away, which is not the message's fault: if all of the Job meets that, its end is another run.
 */
function hasBeenHeard(index: number, pods: PodsOfJob | undefined): boolean {
  const report = pods?.resultOfIndex.get(index);
  if (!pods || wasTakenAway(report)) return false;
  return report !== undefined || pods.unfinishedIndexes?.has(index) !== true;
}

function contradicts({ succeededIndexes, rejectedIndexes }: WorkerReport, { ledger }: Claim): boolean {
  const size = ledger?.messages.length ?? 0;
  if (rejectedIndexes !== undefined && rejectedIndexes !== '') return true;
  return succeededIndexes !== undefined && parseIndexes(succeededIndexes, size)?.size !== size;
}

function all(claim: Claim, means: Judged['means']): readonly Judged[] {
  return claim.held.map((message) => ({ message, means, retryAfterSeconds: undefined }));
}

/** What a failed Job is remembered by: its worker's words, else the Job's own condition. */
function resultOfFailure(claim: Claim, pods: PodsOfJob): WorkerResult {
  const reported = pods.result;
  const known = resultFromFailure(claim.failure);
  // A worker that was ended by its deadline reports how it was ended, not why.
  if (reported && claim.failure?.reason !== DEADLINE_EXCEEDED) return resultOnly(reported);
  return { ...known, exitCode: reported?.exitCode ?? known.exitCode };
}

function resultOnly({ exitCode, reason, message }: WorkerResult): WorkerResult {
  return { exitCode, reason: CONTRACT_EXIT_CODES[exitCode ?? -1] ?? reason, message };
}
