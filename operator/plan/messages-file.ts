import type { Message, MessageAttribute } from './types.ts';

/**
 * Largest messages file that may travel in a pod-template annotation, in bytes of UTF-8. Kubernetes bounds all
 * annotations of an object to 262,144 bytes together; the rest is left to the user's own.
 */
export const MAX_MESSAGES_FILE_BYTES = 200 * 1024;

/** One element of the messages file, named as in Lambda's SQS event. The receipt handle is never in it. */
interface MessageRecord {
  readonly messageId: string;
  readonly body: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly messageAttributes: Readonly<Record<string, MessageAttribute>>;
  readonly attempt: number;
}

/** The text of the messages file a worker reads: a JSON array with one record per message. */
export function buildMessagesFile(messages: readonly Message[], attempt: number): string {
  const records: MessageRecord[] = messages.map((message) => ({
    messageId: message.id,
    body: message.body,
    attributes: message.attributes,
    messageAttributes: message.messageAttributes,
    attempt,
  }));
  return JSON.stringify(records);
}

/** True when the messages file fits into the pod template. */
export function fitsPodTemplate(messagesFile: string): boolean {
  return Buffer.byteLength(messagesFile) <= MAX_MESSAGES_FILE_BYTES;
}

/** W3C Trace Context, version 00: the only text of a sender that becomes an environment value, because of this shape. */
const TRACEPARENT = /^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/;

/** The trace context a producer sent along, if it is well formed. */
export function traceparentOf(message: Message): string | undefined {
  const value = message.messageAttributes['traceparent']?.stringValue;
  return value !== undefined && TRACEPARENT.test(value) ? value : undefined;
}
