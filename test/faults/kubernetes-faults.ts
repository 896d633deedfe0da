import type { ServerResponse } from 'node:http';

/**
 * What happens to a request that a rule picks.
 *
 * - `refuse`: the answer is this status; the server never sees the request.
 * - `reset`: the connection is reset before the server sees the request.
 * - `blackhole`: nothing at all happens until the client gives up; the server never sees the request.
 * - `drop-after-commit`: the server does it, then the connection is reset instead of its answer.
 * - `error500-after-commit`: the server does it, the answer is a 500.
 * - `delay`: the server sees it after `delayMs`.
 * - `gone-in-stream`: a watch that opens and then brings an ERROR event 410, and stays open.
 * - `silence-watch`: the watch is open and stays open, but nothing more comes; also for watches already open.
 * - `stale-list`: the list is answered with the snapshot of an older `resourceVersion`, complete and well formed.
 */
export type Fault =
  | {
      readonly kind: 'refuse';
      readonly status: number;
      readonly reason: string;
      readonly retryAfterSeconds?: number;
    }
  | { readonly kind: 'delay'; readonly delayMs: number }
  | { readonly kind: 'stale-list'; readonly resourceVersion: string }
  | {
      readonly kind:
        | 'reset'
        | 'blackhole'
        | 'drop-after-commit'
        | 'error500-after-commit'
        | 'gone-in-stream'
        | 'silence-watch';
    };

/** Common refusals. */
export const gone: Fault = { kind: 'refuse', status: 410, reason: 'Expired' };
export const forbidden: Fault = { kind: 'refuse', status: 403, reason: 'Forbidden' };
export const unavailable: Fault = { kind: 'refuse', status: 503, reason: 'ServiceUnavailable' };

/** Too Many Requests, with the time to wait that the server asks for. */
export function throttled(retryAfterSeconds: number): Fault {
  return { kind: 'refuse', status: 429, reason: 'TooManyRequests', retryAfterSeconds };
}

export function refuse(
  response: ServerResponse,
  { status, reason, retryAfterSeconds }: { status: number; reason: string; retryAfterSeconds?: number },
): void {
  const headers = retryAfterSeconds === undefined ? {} : { 'retry-after': String(retryAfterSeconds) };
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify(statusOf(status, reason)));
}

export function sendGoneEvent(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'application/json' });
  response.write(`${JSON.stringify({ type: 'ERROR', object: statusOf(410, 'Expired') })}\n`);
}

function statusOf(code: number, reason: string): object {
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: 'fault proxy',
    reason,
    code,
  };
}
