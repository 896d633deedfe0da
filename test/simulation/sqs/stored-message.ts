import type { Message, QueueRef } from '../../../operator/plan/message.ts';
import type { ReceiveOptions } from '../../../operator/world.ts';

/** Where a message is; the truth that checks compare with. */
export type Place = 'queue' | 'dead-letter queue' | 'deleted' | 'expired';

/** A message as SQS itself has it. */
export interface StoredMessage {
  readonly id: string;
  readonly body: string;
  readonly sentAtMs: number;
  /** FIFO queues: the group, and the place in it. */
  readonly groupId: string | undefined;
  readonly deduplicationId: string;
  readonly sequence: number;
  place: Place;
  receiveCount: number;
  /** Visible from then on, epoch ms. */
  visibleAtMs: number;
  /** The newest one; older ones do nothing. */
  receiptHandle: string | undefined;
  /** When the newest receipt handle was handed out; SQS's twelve hours count from here. */
  receivedAtMs: number;
  /** SQS has delivered it although somebody held it: nothing that anybody could do prevents what follows from that. */
  wasDuplicated: boolean;
  /** Copies of it that the dead-letter queue has, each with the reason that came along. */
  readonly copies: string[];
}

/** A message as it leaves SQS; when it arrives is not known there. */
export type Received = Omit<Message, 'arrivedAtMs'>;

/** The answer of ReceiveMessage for one message. */
export function received(
  message: StoredMessage,
  queue: QueueRef,
  options: ReceiveOptions,
  requestedAtMs: number,
): Received {
  const { id, body, receiptHandle = '', receiveCount, sentAtMs, groupId, sequence } = message;
  return {
    queue,
    id,
    body,
    receiptHandle,
    receiveCount,
    sentAtMs,
    receivedAtMs: requestedAtMs,
    visibilityTimeoutSeconds: options.visibilityTimeoutSeconds,
    attributes: {
      SentTimestamp: String(sentAtMs),
      ApproximateReceiveCount: String(receiveCount),
      ...(groupId !== undefined && {
        MessageGroupId: groupId,
        SequenceNumber: String(sequence).padStart(20, '0'),
        MessageDeduplicationId: message.deduplicationId,
      }),
    },
    messageAttributes: {},
  };
}
