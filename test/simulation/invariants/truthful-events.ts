import type { Invariant } from '../truth/view.ts';

export const truthfulEvents: Invariant = {
  id: 'I14',
  name: 'truthful-events',
  sentence: 'Users are told of a Job that was created only when there is one, and it holds messages.',
  watch: (world, broken) => ({
    told: ({ reason, note }) => {
      const name = /^Created Job (\S+) for/.exec(note)?.[1];
      if (reason !== 'JobCreated' || name === undefined) return;
      for (const run of world.book.runs()) if (run.name === name) return;
      broken(`users are told of Job ${name}, which holds no message`);
    },
  }),
};
