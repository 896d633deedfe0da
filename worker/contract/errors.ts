/**
 * The one error class of a worker. What a failure means for the message is decided where it is understood, once, as a
 * `verdict`; `exit-codes.ts` turns verdicts into exit codes.
 */

/**
 * - `reject`: this message can never succeed as it is (its body, its file or its paths are wrong).
 * - `retry`: the same message may succeed later; nothing is wrong with it.
 * - `misconfigured`: no message can succeed until the installation is repaired.
 * - `usage`: the command line is wrong (plain command only).
 */
export type Verdict = 'reject' | 'retry' | 'misconfigured' | 'usage';

/** A failure with its verdict. `message` is for people: one line, names what is wrong, what was got and what is allowed. */
export class WorkerError extends Error {
  readonly verdict: Verdict;
  /** For `retry`: how long to wait, when the cause says so. Otherwise the operator's backoff decides. */
  readonly retryAfterSeconds: number | undefined;

  constructor(verdict: Verdict, message: string, cause?: unknown, retryAfterSeconds?: number) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'WorkerError';
    this.verdict = verdict;
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

/** A failed system call as Node reports it. */
interface SystemError {
  readonly code: string;
  readonly syscall: string;
}

function isSystemError(error: unknown): error is SystemError {
  if (typeof error !== 'object' || error === null || !('code' in error) || !('syscall' in error))
    return false;
  return typeof error.code === 'string' && typeof error.syscall === 'string';
}

/** The errno name (`ENOSPC`) of a failed system call, undefined for any other error. */
export function errnoOf(error: unknown): string | undefined {
  return isSystemError(error) ? error.code : undefined;
}

/** The name of the system call (`read`) that failed, undefined for any other error. */
export function syscallOf(error: unknown): string | undefined {
  return isSystemError(error) ? error.syscall : undefined;
}

/** The message of whatever was thrown, on one line. */
export function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.replace(/\s+/g, ' ').trim();
}
