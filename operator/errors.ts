/**
 * The one error class of the operator. Adapters translate foreign errors into it once; loops decide from
 * `verdict`, never from status codes or message texts.
 */

/**
 * - `retry`: may work later; nothing is known to be wrong with what was asked.
 * - `terminal`: will not work until somebody changes something (spec, permission, queue).
 * - `lost`: the lease on a message is gone; SQS brings the message back by itself.
 */
export type Verdict = 'retry' | 'terminal' | 'lost';

export interface OperatorErrorFields {
  /** Stable CamelCase word, fit for a condition's reason: `NotFound`, `AlreadyExists`, `Throttled`, `QueueNotFound` … */
  readonly code: string;
  readonly verdict: Verdict;
  /** Lower-case, names the thing and the value got; never a message body, a receipt handle or a credential. */
  readonly message: string;
  /** How long the server asked us to wait, in milliseconds. */
  readonly retryAfterMs?: number;
  /** True when the request may have been carried out although no answer came: read before asking again. */
  readonly outcomeUnknown?: boolean;
  readonly cause?: unknown;
}

export class OperatorError extends Error {
  readonly code: string;
  readonly verdict: Verdict;
  readonly retryAfterMs: number | undefined;
  readonly outcomeUnknown: boolean;

  constructor(fields: OperatorErrorFields) {
    super(fields.message, fields.cause === undefined ? undefined : { cause: fields.cause });
    this.name = 'OperatorError';
    this.code = fields.code;
    this.verdict = fields.verdict;
    this.retryAfterMs = fields.retryAfterMs;
    this.outcomeUnknown = fields.outcomeUnknown ?? false;
  }
}

/** True when `error` is an OperatorError with this code. */
export function hasCode(error: unknown, code: string): error is OperatorError {
  return error instanceof OperatorError && error.code === code;
}

/** For logs and conditions: the message of whatever was thrown, on one line. */
export function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.replace(/\s+/g, ' ').trim();
}

/** How long to wait, in milliseconds: a server that named a time to come back must not be asked earlier; else 0. */
export function retryAfterMsOf(error: unknown): number {
  return error instanceof OperatorError ? (error.retryAfterMs ?? 0) : 0;
}
