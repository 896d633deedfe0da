import type { StoredMessage } from '../sqs/stored-message.ts';
import type { Invariant, WorldView } from '../truth/view.ts';

export const fifoGivenBack: Invariant = {
  id: 'I8',
  name: 'fifo-given-back',
  sentence:
    'What an operator gives back of a message group goes back last to first: an earlier message that is back while a later one is held would be received without it.',
  watch: (world, broken) => {
    /** What is held, and what was given back of the same group since then, by whom. Two operators know nothing of each other. */
    const held = new Map<string, { readonly id: string; readonly by: string }[]>();
    const hold = ({ id }: StoredMessage) => void held.set(id, []);
    return {
      received: (message) => {
        hold(message);
        // It is not back any more: what becomes of it from here on does not go by what it was given back before.
        for (const [id, earlier] of held)
          held.set(
            id,
            earlier.filter((one) => one.id !== message.id),
          );
      },
      repeated: hold,
      asked: (what, message, receiptHandle) => {
        if (what !== 'release' || !isHeldBy(receiptHandle, message, world)) return;
        const { id } = message;
        const [earlier] = held.get(id)?.filter(({ by }) => by === world.actor) ?? [];
        held.delete(id);
        if (earlier) broken(`${world.actor} gave back ${id} after ${earlier.id}`);
        for (const later of behind(message, world)) held.get(later.id)?.push({ id, by: world.actor });
      },
    };
  },
};

/** False for a handle that does nothing any more. */
function isHeldBy(receiptHandle: string, message: StoredMessage, { clock }: WorldView): boolean {
  return message.receiptHandle === receiptHandle && message.visibleAtMs > clock.now();
}

function behind({ id, groupId, sequence }: StoredMessage, world: WorldView): readonly StoredMessage[] {
  const queue = world.queueOf(id);
  if (!queue?.isFifo) return [];
  const all = [...queue.messages().values()];
  return all.filter((other) => other.groupId === groupId && other.sequence > sequence);
}
