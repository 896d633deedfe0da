import { Book } from '../truth/book.ts';
import type { Run } from '../truth/run.ts';
import type { Invariant } from '../truth/view.ts';
import { isDuplicatedBatch } from './one-active-job.ts';

export const doneIsDone: Invariant = {
  id: 'I6',
  name: 'done-is-done',
  sentence: 'A message is not run again while a Job stands there that has done it.',
  watch: (world, broken) => ({
    made: ({ name, units, by }) => {
      for (const { messageId } of units) {
        const done = world.book
          .runsOf(messageId)
          .find((run) => !run.gone && !isForgotten(run) && Book.unitOf(run, messageId)?.state === 'done');
        if (done && !(done.by !== by && isDuplicatedBatch(world, messageId)))
          broken(`${by} made ${name} for message ${messageId}, which ${done.name} has done`);
      }
    },
  }),
};

/** What a worker of a failed Job has done stands in its report alone, which goes with its pod. */
function isForgotten({ finished, isIndexed, lostPod }: Run): boolean {
  return finished === 'failed' && !isIndexed && lostPod;
}
