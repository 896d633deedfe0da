import type { MessageAttributeValue, SendMessageBatchRequestEntry } from '@aws-sdk/client-sqs';
import { COPY_JOB, COPY_REASON, COPY_SOURCE_ARN, COPY_SOURCE_MESSAGE_ID } from '../api/names.ts';
import type { MessageAttribute } from '../plan/message.ts';
import type { DeadLetterCopy } from '../world.ts';
import { MAX_BATCH } from './batches.ts';

/** SQS's limits of a message: ten attributes, and 1 MiB for body and attributes. A whole batch has the same 1 MiB. */
const MAX_ATTRIBUTES = 10;
const MAX_BYTES = 1_048_576;
const MAX_NOTE_CHARACTERS = 1_024;

/** A copy ready to be sent. `bytes` counts as SQS does. */
export interface PreparedCopy {
  readonly id: string;
  readonly bytes: number;
  readonly entry: Omit<SendMessageBatchRequestEntry, 'Id'>;
}

/** Where copies come from and go to. */
export interface CopyRoute {
  readonly sourceArn: string;
  readonly deadLetterArn: string;
}

/**
 * A rejected message as an entry for its dead-letter queue: body, attributes, message group and trace header as they
 * were, and about its rejection as many attributes as there is room for. On a FIFO queue the source message's id is the
 * deduplication id, as in SQS's own redrive.
 */
export function prepareCopy(copy: DeadLetterCopy, route: CopyRoute): PreparedCopy {
  const { id, body, attributes, messageAttributes } = copy;
  const own = Object.entries(messageAttributes).map(attributeEntry);
  const all = withNotes(own, notesOf(copy, route.sourceArn), byteLength(body));
  const fifo = route.deadLetterArn.endsWith('.fifo');
  const group = attributes['MessageGroupId'] ?? (fifo ? id : undefined);
  const trace = attributes['AWSTraceHeader'];
  return {
    id,
    bytes: byteLength(body) + bytesOf(all),
    entry: {
      MessageBody: body,
      ...(all.length > 0 && { MessageAttributes: Object.fromEntries(all) }),
      ...(group !== undefined && { MessageGroupId: group }),
      ...(fifo && { MessageDeduplicationId: id }),
      ...(trace !== undefined && {
        MessageSystemAttributes: { AWSTraceHeader: { DataType: 'String', StringValue: trace } },
      }),
    },
  };
}

/** Batches of at most ten copies and 1 MiB, in order. A copy above that alone is a batch of its own, for SQS to refuse. */
export function batchesOf(copies: readonly PreparedCopy[]): readonly (readonly PreparedCopy[])[] {
  const batches: PreparedCopy[][] = [];
  let batch: PreparedCopy[] = [];
  let bytes = 0;
  for (const copy of copies) {
    if (batch.length === 0 || batch.length === MAX_BATCH || bytes + copy.bytes > MAX_BYTES) {
      batch = [];
      bytes = 0;
      batches.push(batch);
    }
    batch.push(copy);
    bytes += copy.bytes;
  }
  return batches;
}

type AttributeEntry = readonly [name: string, value: MessageAttributeValue];

function attributeEntry([name, attribute]: [string, MessageAttribute]): AttributeEntry {
  const { dataType, stringValue, binaryValue } = attribute;
  return [
    name,
    {
      DataType: dataType,
      ...(stringValue !== undefined && { StringValue: stringValue }),
      ...(binaryValue !== undefined && { BinaryValue: Buffer.from(binaryValue, 'base64') }),
    },
  ];
}

function notesOf({ id, reason, job }: DeadLetterCopy, sourceArn: string): readonly AttributeEntry[] {
  const notes: [string, string][] = [
    [COPY_REASON, clean(reason)],
    [COPY_SOURCE_MESSAGE_ID, id],
    [COPY_SOURCE_ARN, sourceArn],
    [COPY_JOB, job],
  ];
  return notes
    .filter(([, value]) => value !== '')
    .map(([name, StringValue]) => [name, { DataType: 'String', StringValue }]);
}

/** Notes take the place of older ones of the same name: a copy that was sent back and rejected again tells of this time. */
function withNotes(
  own: readonly AttributeEntry[],
  notes: readonly AttributeEntry[],
  bodyBytes: number,
): readonly AttributeEntry[] {
  let all = own;
  for (const note of notes) {
    const next = [...all.filter(([name]) => name !== note[0]), note];
    if (next.length <= MAX_ATTRIBUTES && bodyBytes + bytesOf(next) <= MAX_BYTES) all = next;
  }
  return all;
}

/** Names, types and values count; binary values as the bytes they are. */
function bytesOf(attributes: readonly AttributeEntry[]): number {
  let bytes = 0;
  for (const [name, { DataType = '', StringValue = '', BinaryValue }] of attributes)
    bytes += byteLength(name) + byteLength(DataType) + byteLength(StringValue) + (BinaryValue?.length ?? 0);
  return bytes;
}

/** Workers write reasons, and SQS refuses what XML cannot hold. */
function clean(text: string): string {
  return text
    .slice(0, MAX_NOTE_CHARACTERS)
    .toWellFormed()
    .replace(/[^\t\n\r\u{20}-\u{D7FF}\u{E000}-\u{FFFD}\u{10000}-\u{10FFFF}]/gu, '\u{FFFD}');
}

function byteLength(text: string): number {
  return Buffer.byteLength(text, 'utf8');
}
