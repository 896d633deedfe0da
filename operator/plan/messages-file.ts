import { BODY_FILE, MESSAGES_DIRECTORY } from '../api/names.ts';
import type { Message, MessageAttribute } from './message.ts';

/** Largest messages file that travels in a pod-template annotation, in bytes of UTF-8; every watch of Jobs carries it. */
export const MAX_INLINE_BYTES = 32 * 1024;
/** A batch closes here, in bytes: with room to spare below the 1 MiB that all values of a Secret may have together. */
export const MAX_BATCH_BYTES = 768 * 1024;
/** What a Secret may hold (`MaxSecretSize` of the Kubernetes API), in bytes. */
export const MAX_SECRET_BYTES = 1024 * 1024;

/** One element of the messages file, named as in Lambda's SQS event. The receipt handle is never in it. */
export interface MessageRecord {
  readonly messageId: string;
  /** Missing when `bodyFile` is there. */
  readonly body?: string;
  /** Absolute path, in the container, of a file with the raw body. */
  readonly bodyFile?: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly messageAttributes: Readonly<Record<string, MessageAttribute>>;
  readonly attempt: number;
}

/** The text of the messages file a worker reads: a JSON array with one record per message, at its index. */
export function buildMessagesFile(messages: readonly Message[], attempt: number): string {
  return JSON.stringify(messages.map((message) => recordOf(message, attempt)));
}

/** The messages file of one message whose body stands in a file of its own. */
export function buildBodilessFile(message: Message, attempt: number): string {
  const { body: _, ...record } = recordOf(message, attempt);
  return JSON.stringify([{ ...record, bodyFile: `${MESSAGES_DIRECTORY}/${BODY_FILE}` }]);
}

/** Every turn asks again for each message that waits; all copies of a received message share its attributes. */
const knownBytes = new WeakMap<object, number>();

/** What a message adds to a messages file, in bytes of UTF-8. */
export function recordBytes(message: Message, attempt: number): number {
  const known = knownBytes.get(message.attributes);
  const bytes = known ?? Buffer.byteLength(JSON.stringify(recordOf(message, 0)));
  knownBytes.set(message.attributes, bytes);
  return bytes + String(attempt).length;
}

function recordOf(message: Message, attempt: number): MessageRecord {
  return {
    messageId: message.id,
    body: message.body,
    attributes: message.attributes,
    messageAttributes: message.messageAttributes,
    attempt,
  };
}

/** W3C Trace Context, version 00: the only text of a sender that becomes an environment value, because of this shape. */
const TRACEPARENT = /^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/;

interface Traced {
  readonly messageAttributes: Readonly<Record<string, { readonly stringValue?: string | undefined }>>;
}

/** The trace context a producer sent along, if it is well formed. */
export function traceparentOf({ messageAttributes }: Traced): string | undefined {
  const value = messageAttributes['traceparent']?.stringValue;
  return value !== undefined && TRACEPARENT.test(value) ? value : undefined;
}
