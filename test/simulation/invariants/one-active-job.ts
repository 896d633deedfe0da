import type { Invariant, WorldView } from '../truth/view.ts';

export const oneActiveJob: Invariant = {
  id: 'I3',
  name: 'one-active-job',
  sentence:
    'A message is in at most one Job that may still work on it, whoever makes Jobs and however many do; unless SQS itself gave a message of a batch to two operators at once.',
  watch: (world, broken) => ({
    made: ({ name, units, by }) => {
      for (const { messageId } of units) {
        const isGivenTwice = isDuplicatedBatch(world, messageId);
        const others = world.book
          .liveRunsOf(messageId)
          .filter((run) => run.by === by || !isGivenTwice)
          .map((run) => `${run.name} (made by ${run.by})`);
        if (others.length > 0)
          broken(`${by} made ${name} for message ${messageId}, which is in ${others.join(', ')}`);
      }
    },
  }),
};

/** At-least-once delivery: what SQS hands to two operators at the same moment may end up in a batch of each. */
export function isDuplicatedBatch(world: WorldView, messageId: string): boolean {
  const model = world.queueOf(messageId);
  const tenant = world.tenants.find((each) => each.model === model);
  const batchSize = Number(Object(tenant?.spec['queue'])['batchSize'] ?? 1);
  return batchSize > 1 && model?.messages().get(messageId)?.wasDuplicated === true;
}
