import type { StoredMessage } from './stored-message.ts';

/**
 * What a receive may hand out now, in order. On a FIFO queue a message in flight hides itself and every later message
 * of its group; earlier ones that are visible are delivered (recorded on AWS: of three held messages, extending the
 * second leaves only the first deliverable). One receive may bring several messages of a group.
 */
export function* deliverable(
  messages: Iterable<StoredMessage>,
  isFifo: boolean,
  nowMs: number,
): Generator<StoredMessage, void> {
  const blocked = new Set<string>();
  for (const message of messages) {
    if (message.place !== 'queue') continue;
    const { groupId = '', visibleAtMs } = message;
    if (isFifo && blocked.has(groupId)) continue;
    if (visibleAtMs <= nowMs) yield message;
    else if (isFifo) blocked.add(groupId);
  }
}
