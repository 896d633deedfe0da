import type { Invariant } from '../truth/view.ts';

export const oneActiveJob: Invariant = {
  id: 'I3',
  name: 'one-active-job',
  sentence:
    'A message is in at most one Job that may still work on it, whoever makes Jobs and however many do.',
  watch: ({ book }, broken) => ({
    made: ({ name, units, by }) => {
      for (const { messageId } of units) {
        const others = book.liveRunsOf(messageId).map((run) => `${run.name} (made by ${run.by})`);
        if (others.length > 0)
          broken(`${by} made ${name} for message ${messageId}, which is in ${others.join(', ')}`);
      }
    },
  }),
};
