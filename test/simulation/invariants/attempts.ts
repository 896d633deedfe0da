import { BATCH_QUEUES } from '../../../operator/world.ts';
import { Book } from '../truth/book.ts';
import type { Run } from '../truth/run.ts';
import type { Invariant, WorldView } from '../truth/view.ts';

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
        // Not the one that came last: a create that is carried out late may be of an earlier attempt.
        const last = all.findLast(({ attempt }) => attempt === known);
        if (last && run.attempt > last.attempt && isTheirs(last, run, world) && isFree(last, messageId))
          broken(
            `${run.by} made ${run.name} as attempt ${run.attempt} of ${messageId} after a fault that is not its own`,
          );
      }
    },
  }),
};

/**
 * True when whoever made this run had to go on from the last one. What history limits have taken away is not known any
 * more; and what a deleted BatchQueue had is given back, also if the operator that receives it again does not know yet.
 */
function isTheirs(last: Run, { ownerUid }: Run, world: WorldView): boolean {
  const isThere = world.api.list(BATCH_QUEUES).items.some(({ metadata }) => metadata.uid === ownerUid);
  return isThere && !last.gone && last.ownerUid === ownerUid && !isSplit(last, world);
}

/** True when another run has one of its messages under a later attempt: it cannot be run again as a whole. */
function isSplit({ units, attempt }: Run, { book }: WorldView): boolean {
  return units.some(({ messageId }) => book.runsOf(messageId).some((other) => other.attempt > attempt));
}

/** True for a run whose pods were refused by their node: no worker of it ever ran, and that can be told. */
function isFree(run: Run, messageId: string): boolean {
  if (run.finished !== 'failed' || run.hasRun || run.deleting) return false;
  const isTold = run.refusedPods > 0 && run.failure === 'BackoffLimitExceeded';
  return isTold && Book.unitOf(run, messageId)?.state === 'failed';
}
