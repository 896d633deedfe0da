import type { Invariant } from '../truth/view.ts';

export const runningJobsAreLeftAlone: Invariant = {
  id: 'I13',
  name: 'running-jobs-are-left-alone',
  sentence: 'No operator deletes a Job whose worker runs, and none deletes one that still owes a settlement.',
  watch: (world, broken) => ({
    deleting: (run) => {
      if (world.actor === 'world') return;
      if (run.finished === 'no' && run.hasRun)
        broken(`${world.actor} deleted ${run.name}, whose worker runs`);
      if (run.finished !== 'no' && run.owesSettlement)
        broken(`${world.actor} deleted ${run.name}, which owes a settlement`);
    },
  }),
};
