import { Book } from '../truth/book.ts';
import type { Invariant } from '../truth/view.ts';

export const leaseKept: Invariant = {
  id: 'I5',
  name: 'lease-kept',
  sentence:
    'Unless SQS or the operator itself fails no lease lapses: a message is not received again while a Job of it may still work, whatever the API server does.',
  watch: (world, broken) => ({
    received: ({ id, wasDuplicated }) => {
      if (!world.keepsLeases || wasDuplicated) return;
      const live = world.book.liveRunsOf(id);
      if (live.length > 0) broken(`message ${id} was received again while ${live[0]?.name} works on it`);
    },
    deadLettered: ({ id, receiveCount }) => {
      // What follows in a group comes along with a message that goes back, each time.
      if (!world.isFair || world.queueOf(id)?.isFifo) return;
      const runs = world.book.runsOf(id).length;
      // What was rejected is received, and not run, until the redrive policy takes it away.
      if (world.book.runsOf(id).some((run) => Book.unitOf(run, id)?.state === 'rejected')) return;
      if (runs < receiveCount)
        broken(`message ${id} was dead-lettered after ${receiveCount} receives and ${runs} runs`);
    },
  }),
};
