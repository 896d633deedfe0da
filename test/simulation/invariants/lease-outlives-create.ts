import type { Invariant } from '../truth/view.ts';

export const leaseOutlivesCreate: Invariant = {
  id: 'I4',
  name: 'lease-outlives-create',
  sentence:
    'When a Job comes into being each of its messages is in flight, and nobody but its maker has received it since the last Job with it.',
  watch: (world, broken) => {
    /** Who has received a message last. */
    const holders = new Map<string, string>();
    return {
      received: ({ id }) => void holders.set(id, world.actor),
      repeated: ({ id }) => void holders.set(id, world.actor),
      made: ({ name, units, by, attempt }) => {
        for (const { messageId } of units) {
          const message = world.queueOf(messageId)?.messages().get(messageId);
          if (!message || message.wasDuplicated || message.place !== 'queue') continue;
          const holder = holders.get(messageId);
          // Whatever comes of its lease, the ledger of the run before keeps the message from anybody else.
          const isRerun = world.book.runsOf(messageId).some((run) => run.attempt === attempt);
          if (isRerun) continue;
          if (message.visibleAtMs <= world.clock.now())
            broken(`${by} made ${name} while message ${messageId} was visible`);
          else if (holder !== by)
            broken(`${by} made ${name} for message ${messageId}, which ${holder} has received`);
        }
      },
    };
  },
};
