import { Book } from '../truth/book.ts';
import type { Invariant } from '../truth/view.ts';

export const rejectedIsRemembered: Invariant = {
  id: 'I17',
  name: 'rejected-is-remembered',
  sentence:
    'A message that its worker rejected is not run again while the Job that rejected it stands there.',
  watch: (world, broken) => ({
    made: ({ name, units, by }) => {
      for (const { messageId } of units) {
        const rejecter = world.book
          .runsOf(messageId)
          .find((run) => !run.gone && Book.unitOf(run, messageId)?.state === 'rejected');
        if (rejecter) broken(`${by} made ${name} for message ${messageId}, which ${rejecter.name} rejected`);
      }
    },
  }),
};
