import type { LedgerMessage } from './job-facts.ts';
import { groupOf } from './ledger.ts';
import type { InboxMessage, Message } from './message.ts';

/** For sorting messages of a FIFO queue: sequence numbers are decimal texts of up to 128 bits. */
export function fifoOrder(
  a: Pick<LedgerMessage, 'sequenceNumber' | 'id'>,
  b: Pick<LedgerMessage, 'sequenceNumber' | 'id'>,
): number {
  const [left = '0', right = '0'] = [a.sequenceNumber, b.sequenceNumber];
  if (left.length !== right.length) return left.length - right.length;
  if (left === right) return a.id < b.id ? -1 : 1;
  return left < right ? -1 : 1;
}

/** Received messages in the order of their sequence numbers. */
export function inOrder(messages: readonly InboxMessage[]): readonly InboxMessage[] {
  const numbered = messages.map((message) => ({
    message,
    id: message.id,
    sequenceNumber: message.attributes['SequenceNumber'],
  }));
  return numbered.toSorted(fifoOrder).map(({ message }) => message);
}

/** The messages of one answer, each of a FIFO queue with the one that it stands behind. */
export function inLine(answer: readonly Message[]): readonly Message[] {
  const last = new Map<string, string>();
  return answer.map((message) => {
    const group = groupOf(message);
    if (group === undefined) return message;
    const behind = last.get(group);
    last.set(group, message.id);
    return behind === undefined ? message : Object.assign({}, message, { behind });
  });
}
