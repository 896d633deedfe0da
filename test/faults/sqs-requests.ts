import type { IncomingMessage } from 'node:http';
import { z } from 'zod';

/** One SQS call as it came in (JSON protocol of the AWS SDKs). */
export interface SqsRequest {
  /** `ReceiveMessage`, `DeleteMessageBatch` … */
  readonly operation: string;
  /** The last part of the queue's URL; `''` for calls that name none. */
  readonly queue: string;
  /** The JSON it carries. */
  readonly body: Readonly<Record<string, unknown>>;
  /** When it came in, on this process's monotonic clock. */
  readonly atMs: number;
}

/** Picks requests; what is left out fits all. */
export interface SqsRequestMatch {
  readonly operation?: string;
  readonly queue?: string;
}

/** One entry of a batch request. */
export type BatchEntry = z.infer<typeof entrySchema>;

const bodySchema = z.record(z.string(), z.unknown());
const entrySchema = z.looseObject({
  Id: z.string(),
  ReceiptHandle: z.string().default(''),
  VisibilityTimeout: z.number().optional(),
});
const entriesSchema = z.object({ Entries: z.array(entrySchema).default([]) });

export function parseSqsRequest(request: IncomingMessage, text: Buffer): SqsRequest {
  const target = request.headers['x-amz-target'];
  const body = bodySchema.parse(text.length === 0 ? {} : JSON.parse(text.toString()));
  const url = body['QueueUrl'];
  return {
    operation: typeof target === 'string' ? (target.split('.').at(-1) ?? '') : '',
    queue: typeof url === 'string' ? (url.split('/').at(-1) ?? '') : '',
    body,
    atMs: performance.now(),
  };
}

export function matchesSqsRequest(match: SqsRequestMatch, request: SqsRequest): boolean {
  return (
    (match.operation === undefined || match.operation === request.operation) &&
    (match.queue === undefined || match.queue === request.queue)
  );
}

/** The entries of a batch request; none for other calls. */
export function entriesOf({ body }: Pick<SqsRequest, 'body'>): readonly BatchEntry[] {
  return entriesSchema.safeParse(body).data?.Entries ?? [];
}

/**
 * What a request is called in a sequence of calls. A renewal and a release are one operation that asks for different
 * times, and the two queues of a redrive policy are read in turn: such calls are told apart.
 */
export function sqsCallKind(request: SqsRequest): string {
  const { operation, queue } = request;
  if (/-dead(\.fifo)?$/.test(queue)) return `${operation} of the dead-letter queue`;
  const times = new Set(entriesOf(request).flatMap(({ VisibilityTimeout }) => VisibilityTimeout ?? []));
  return times.size === 0 ? operation : `${operation} to ${[...times].join(' and ')} s`;
}
