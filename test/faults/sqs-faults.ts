import type { ServerResponse } from 'node:http';
import type { BatchEntry } from './sqs-requests.ts';

/**
 * What happens to an SQS request that a rule picks.
 *
 * - `refuse`: the answer is this error; SQS never sees the request.
 * - `blackhole`: nothing at all happens until the client gives up; SQS never sees the request.
 * - `lose-answer`: SQS does it, then the connection is reset instead of its answer.
 * - `fail-entries`: SQS never sees these entries of a batch request; its answer says that they failed.
 */
export type SqsFault =
  | { readonly kind: 'refuse'; readonly code: string; readonly status: number }
  | { readonly kind: 'blackhole' | 'lose-answer' }
  | {
      readonly kind: 'fail-entries';
      readonly fails: (entry: BatchEntry, index: number) => boolean;
      readonly code: string;
      readonly message: string;
    };

/** How AWS says it: HTTP 403, which no SDK retries by status. */
export const requestThrottled: SqsFault = { kind: 'refuse', code: 'RequestThrottled', status: 403 };

/** A fault of SQS's own, of every second entry. */
export const everySecondEntryFails: SqsFault = {
  kind: 'fail-entries',
  fails: (_, index) => index % 2 === 1,
  code: 'InternalError',
  message: 'fault proxy',
};

/** As SQS answers for a message that it has given to somebody else since, or to nobody for too long. */
export const handlesExpired: SqsFault = {
  kind: 'fail-entries',
  fails: () => true,
  code: 'InvalidParameterValue',
  message: 'Value for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired.',
};

/** An error in the JSON protocol, as the SDK understands it. */
export function refuseSqs(
  response: ServerResponse,
  { code, status }: { code: string; status: number },
): void {
  response.writeHead(status, {
    'content-type': 'application/x-amz-json-1.0',
    'x-amzn-query-error': `${code};Sender`,
  });
  response.end(JSON.stringify({ __type: `com.amazonaws.sqs#${code}`, message: 'fault proxy' }));
}
