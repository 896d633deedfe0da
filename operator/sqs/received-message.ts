import type { Message as SdkMessage } from '@aws-sdk/client-sqs';
import type { Message, MessageAttribute } from '../plan/message.ts';

/** What a message has from the receive that brought it. */
export type Receive = Pick<Message, 'queue' | 'receivedAtMs' | 'arrivedAtMs' | 'visibilityTimeoutSeconds'>;

/** A message as the SDK gives it, in the operator's words. */
export function receivedMessage(message: SdkMessage, receive: Receive): Message {
  const attributes: Record<string, string> = { ...message.Attributes };
  return {
    ...receive,
    id: message.MessageId ?? '',
    body: message.Body ?? '',
    receiptHandle: message.ReceiptHandle ?? '',
    receiveCount: Number(attributes['ApproximateReceiveCount'] ?? 1),
    sentAtMs: Number(attributes['SentTimestamp'] ?? receive.receivedAtMs),
    attributes,
    messageAttributes: messageAttributesFrom(message.MessageAttributes ?? {}),
  };
}

function messageAttributesFrom(
  attributes: NonNullable<SdkMessage['MessageAttributes']>,
): Record<string, MessageAttribute> {
  return Object.fromEntries(
    Object.entries(attributes).map(([name, { DataType, StringValue, BinaryValue }]) => [
      name,
      {
        dataType: DataType ?? 'String',
        ...(StringValue !== undefined && { stringValue: StringValue }),
        ...(BinaryValue !== undefined && { binaryValue: Buffer.from(BinaryValue).toString('base64') }),
      },
    ]),
  );
}
