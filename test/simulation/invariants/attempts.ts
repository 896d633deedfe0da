import { Book } from '../truth/book.ts';
import type { Run } from '../truth/run.ts';
import type { Invariant } from '../truth/view.ts';

export const attempts: Invariant = {
  id: 'I16',
  name: 'attempts',
  sentence:
    'While a Job of a message stands there, its next attempt is at most one more than the newest that there was; what is not the fault of the work costs no attempt; and no attempt exceeds the receives.',
  watch: (world, broken) => ({
    made: (run) => {
      for (const { messageId } of run.units) {
        const message = world.queueOf(messageId)?.messages().get(messageId);
        if (!message) continue;
        const all = world.book.runsOf(messageId).filter(({ queueUrl }) => queueUrl === run.queueUrl);
        const isStanding = all.some(({ gone }) => !gone);
        // Also of one that has just gone: whoever has settled it knows.
        const known = Math.max(0, ...all.map(({ attempt }) => attempt));
        const limit = isStanding ? known + 1 : Math.max(message.receiveCount, known + 1);
        if (run.attempt > limit)
          broken(`${run.by} made ${run.name} as attempt ${run.attempt} of ${messageId}, ${limit} may be`);
        // What history limits have taken away is not known any more; and with its BatchQueue gone a message is given back.
        const last = all.at(-1);
        const isSame = last && !last.gone && last.ownerUid === run.ownerUid;
        if (isSame && run.attempt > last.attempt && isFree(last, messageId))
          broken(
            `${run.by} made ${run.name} as attempt ${run.attempt} of ${messageId} after a fault that is not its own`,
          );
      }
    },
  }),
};

/** True for a run whose pods were refused by their node: no worker of it ever ran, and that can be told. */
function isFree(run: Run, messageId: string): boolean {
  if (run.finished !== 'failed' || run.hasRun || run.deleting) return false;
  const isTold = run.refusedPods > 0 && run.failure === 'BackoffLimitExceeded';
  return isTold && Book.unitOf(run, messageId)?.state === 'failed';
}
