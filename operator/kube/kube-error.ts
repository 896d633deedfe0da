import { messageOf, OperatorError, type OperatorErrorFields } from '../errors.ts';
import { fieldsOf } from './json.ts';

/** What was asked, for messages: `create jobs default/x`; and whether the server's state may have changed by it. */
export interface Attempt {
  readonly text: string;
  readonly isWrite: boolean;
}

/** A response that is not a success, as far as it is needed. */
export interface FailedResponse {
  readonly status: number;
  readonly headers: Record<string, string | string[] | undefined>;
  readonly body: string;
}

type Kind = Pick<OperatorErrorFields, 'code' | 'verdict'> & { readonly outcomeUnknown?: boolean };

/**
 * By HTTP status. "Executed or not" is known unless a server or something between says that it failed on the way: the
 * API conventions name 500 and 504; 502 is a proxy that lost the server. 503 and 429 are refusals before the work.
 */
const KIND_BY_STATUS: Readonly<Record<number, Kind>> = {
  400: { code: 'Invalid', verdict: 'terminal' },
  401: { code: 'Unauthorized', verdict: 'retry' },
  403: { code: 'Forbidden', verdict: 'terminal' },
  404: { code: 'NotFound', verdict: 'terminal' },
  408: { code: 'RequestTimeout', verdict: 'retry', outcomeUnknown: true },
  409: { code: 'Conflict', verdict: 'retry' },
  410: { code: 'Gone', verdict: 'retry' },
  422: { code: 'Invalid', verdict: 'terminal' },
  429: { code: 'Throttled', verdict: 'retry' },
  500: { code: 'ServerError', verdict: 'retry', outcomeUnknown: true },
  502: { code: 'ServerError', verdict: 'retry', outcomeUnknown: true },
  503: { code: 'Unavailable', verdict: 'retry' },
  504: { code: 'RequestTimeout', verdict: 'retry', outcomeUnknown: true },
};

/** Codes of failures before the first byte of a request was written: name lookup, connection, TLS. */
const NOT_SENT = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENETDOWN',
  'UND_ERR_CONNECT_TIMEOUT',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'CERT_HAS_EXPIRED',
  'CERT_SIGNATURE_FAILURE',
  'ERR_TLS_CERT_ALTNAME_INVALID',
]);

/** No answer came in time; anything else that the network does is `Unavailable`. */
const TIMEOUTS = new Set(['TimeoutError', 'UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT']);

/** The error for an answer with a status of 400 or more. Its message quotes the server's words, never headers or bodies. */
export function errorOfResponse(attempt: Attempt, response: FailedResponse): OperatorError {
  const status = parseStatus(response.body);
  return errorOfStatus(attempt, { ...status, code: response.status }, retryAfterMsOf(response, status));
}

/** The error for a `Status` object: a failed answer's body, or the object of a watch's ERROR event. */
export function errorOfStatus(attempt: Attempt, status: Status, retryAfterMs?: number): OperatorError {
  const kind = kindOf(status);
  const words = status.message === undefined ? `HTTP status ${status.code}` : oneLine(status.message);
  return new OperatorError({
    code: kind.code,
    verdict: kind.verdict,
    message: `${attempt.text}: ${kind.code}: ${words}`,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    ...(attempt.isWrite && kind.outcomeUnknown ? { outcomeUnknown: true } : {}),
  });
}

/** The error for a request without a complete answer; `hasAnswer` tells that an answer had begun. */
export function errorOfNetwork(attempt: Attempt, cause: unknown, hasAnswer = false): OperatorError {
  if (cause instanceof OperatorError) return cause;
  const symbol = symbolOf(cause);
  const isTimeout = TIMEOUTS.has(symbol);
  const code = isTimeout ? 'RequestTimeout' : 'Unavailable';
  const words = isTimeout ? 'no answer in time' : `${messageOf(cause)}${symbol === '' ? '' : ` (${symbol})`}`;
  return new OperatorError({
    code,
    verdict: 'retry',
    message: `${attempt.text}: ${code}: ${words}`,
    outcomeUnknown: attempt.isWrite && (hasAnswer || !NOT_SENT.has(symbol)),
    cause,
  });
}

/** The part of a `v1` `Status` that decides. */
export interface Status {
  readonly code: number;
  readonly reason?: string;
  readonly message?: string;
  readonly retryAfterSeconds?: number;
}

/** Reads what there is; whatever else a server or a proxy may have answered is a Status without words. */
export function parseStatus(body: unknown): Status {
  const fields = fieldsOf(typeof body === 'string' ? parsedOrUndefined(body) : body);
  const { code, reason, message } = fields;
  const seconds = fieldsOf(fields['details'])['retryAfterSeconds'];
  return {
    code: typeof code === 'number' ? code : 0,
    ...(typeof reason === 'string' ? { reason } : {}),
    ...(typeof message === 'string' && message !== '' ? { message } : {}),
    ...(typeof seconds === 'number' ? { retryAfterSeconds: seconds } : {}),
  };
}

function kindOf(status: Status): Kind {
  if (status.reason === 'AlreadyExists') return { code: 'AlreadyExists', verdict: 'terminal' };
  if (status.reason === 'Expired' || status.reason === 'Gone') return { code: 'Gone', verdict: 'retry' };
  const known = KIND_BY_STATUS[status.code];
  if (known !== undefined) return known;
  // Unknown refusals (405, 406, 413, 415 …) come from what was asked; unknown failures may have done half of it.
  if (status.code >= 400 && status.code < 500) return { code: 'Invalid', verdict: 'terminal' };
  return { code: 'ServerError', verdict: 'retry', outcomeUnknown: true };
}

function retryAfterMsOf(response: FailedResponse, status: Status): number | undefined {
  const header = response.headers['retry-after'];
  // The API server sends seconds, never a date.
  const seconds =
    typeof header === 'string' && /^\d+$/.test(header) ? Number(header) : status.retryAfterSeconds;
  return seconds === undefined ? undefined : seconds * 1000;
}

function symbolOf(cause: unknown): string {
  const { code, name } = fieldsOf(cause);
  if (typeof code === 'string') return code;
  return name === 'TimeoutError' ? 'TimeoutError' : '';
}

function parsedOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ').trim();
}
