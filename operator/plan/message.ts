import type { QueueReader } from './queue-reader.ts';

/** SQS queues and what they hand out. */

/** One SQS queue as the operator addresses it, and on whose behalf. The URL is what SQS calls want. */
export interface QueueRef extends QueueReader {
  /** As SQS itself tells it. */
  readonly arn: string;
}

export interface MessageAttribute {
  readonly dataType: string;
  readonly stringValue?: string | undefined;
  /** Base64. */
  readonly binaryValue?: string | undefined;
}

/** A message as one ReceiveMessage call returned it. */
export interface Message {
  readonly queue: QueueRef;
  readonly id: string;
  readonly body: string;
  /** Only the newest receipt handle of a message is dependable; never logged. */
  readonly receiptHandle: string;
  /** SQS's ApproximateReceiveCount; never smaller than the number of attempts made. */
  readonly receiveCount: number;
  /** Epoch ms at which the producer sent it. */
  readonly sentAtMs: number;
  /** Epoch ms at which the receive request *started*; SQS's twelve hours count from the receive. */
  readonly receivedAtMs: number;
  /** Epoch ms at which its answer arrived: a consistent list begun later shows every Job made for an earlier receive. */
  readonly arrivedAtMs: number;
  /** What that request asked for, in seconds. */
  readonly visibilityTimeoutSeconds: number;
  /** FIFO: the message of its group that came before it in the same answer. It runs only behind that one. */
  readonly behind?: string | undefined;
  /** SQS system attributes, as strings. */
  readonly attributes: Readonly<Record<string, string>>;
  readonly messageAttributes: Readonly<Record<string, MessageAttribute>>;
}

/** A received message that has no Job yet. */
export interface InboxMessage extends Message {
  /** Until when (epoch ms) nobody else can receive it; in the past while a renewal is due; 0 once the lease is lost. */
  readonly trustedUntilMs: number;
}
