import type { ModelQueue } from '../sqs/model-queue.ts';
import { isLive, type Run } from '../truth/run.ts';
import type { Invariant, WorldView } from '../truth/view.ts';

export const fifoOrder: Invariant = {
  id: 'I8',
  name: 'fifo-order',
  sentence:
    'On a FIFO queue a message group has at most one Job at work, and a message is run only when every earlier one of its group is gone from the queue, is done and was to be deleted, or goes before it in the same Job.',
  watch: (world, broken) => {
    /** SQS refuses a delete whose handle has expired; those that came along with what is done run all the same. */
    const toBeDeleted = new Set<string>();
    return {
      asked: (what, { id }) => {
        if (what === 'delete' && world.book.isDone(id)) toBeDeleted.add(id);
      },
      made: (run) => {
        const queue = world.queueOf(run.units[0]?.messageId ?? '');
        if (!queue?.isFifo) return;
        const groups = new Set(run.units.map(({ messageId }) => groupOf(queue, messageId)));
        if (groups.size > 1)
          broken(`${run.by} made ${run.name} for several groups: ${[...groups].join(', ')}`);
        for (const problem of outOfOrder(run, queue, toBeDeleted))
          broken(`${run.by} made ${run.name} ${problem}`);
        for (const other of othersAtWork(groups, queue, world))
          broken(`${run.by} made ${run.name} while ${other.name} works on the same group`);
      },
    };
  },
};

function othersAtWork(
  groups: ReadonlySet<string | undefined>,
  queue: ModelQueue,
  world: WorldView,
): readonly Run[] {
  const isAtWork = (run: Run) =>
    run.units.some((unit) => isLive(run, unit) && groups.has(groupOf(queue, unit.messageId)));
  return [...world.book.runs()].filter((run) => isAtWork(run) && isOfQueue(run, world, queue));
}

function isOfQueue(run: Run, world: WorldView, queue: ModelQueue): boolean {
  return world.queueOf(run.units[0]?.messageId ?? '') === queue;
}

function outOfOrder(run: Run, queue: ModelQueue, toBeDeleted: ReadonlySet<string>): readonly string[] {
  const before = new Set(toBeDeleted);
  return run.units.flatMap(({ messageId }) => {
    const earlier = earlierInGroup(queue, messageId).filter((id) => !before.has(id));
    before.add(messageId);
    return earlier.length > 0 ? [`with ${messageId} before ${earlier.join(', ')}`] : [];
  });
}

function earlierInGroup(queue: ModelQueue, messageId: string): readonly string[] {
  const message = queue.messages().get(messageId);
  if (!message) return [];
  return [...queue.messages().values()]
    .filter(
      ({ place, groupId, sequence }) =>
        place === 'queue' && groupId === message.groupId && sequence < message.sequence,
    )
    .map(({ id }) => id);
}

function groupOf(queue: ModelQueue, messageId: string): string | undefined {
  return queue.messages().get(messageId)?.groupId;
}
