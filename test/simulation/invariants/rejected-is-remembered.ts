import { Book } from '../truth/book.ts';
import type { Invariant } from '../truth/view.ts';

export const rejectedIsRemembered: Invariant = {
  id: 'I17',
  name: 'rejected-is-remembered',
  sentence:
    'A message that its worker rejected is not run again while the Job that rejected it stands there; a pod that somebody deletes before anybody has read it tells nothing.',
  watch: (world, broken) => ({
    made: ({ name, units, by }) => {
      for (const { messageId } of units) {
        const rejecter = world.book
          .runsOf(messageId)
          .find((run) => !run.gone && !run.lostPod && Book.unitOf(run, messageId)?.state === 'rejected');
        if (rejecter) broken(`${by} made ${name} for message ${messageId}, which ${rejecter.name} rejected`);
      }
    },
  }),
};
