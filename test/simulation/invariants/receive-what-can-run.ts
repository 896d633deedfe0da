import type { ModelQueue } from '../sqs/model-queue.ts';
import type { Invariant, WorldView } from '../truth/view.ts';

export const receiveWhatCanRun: Invariant = {
  id: 'I9b',
  name: 'receive-what-can-run',
  sentence: 'Whoever receives messages holds no more of them without a Job than could become Jobs at once.',
  watch: (world, broken) => {
    /** Who holds a message, and no Job does. */
    const holders = new Map<string, string>();
    return {
      repeated: ({ id }) => void holders.set(id, world.actor),
      received: (message) => {
        const { actor } = world;
        holders.set(message.id, actor);
        const queue = world.queueOf(message.id);
        const tenant = world.tenants.find(({ model }) => model === queue);
        if (!queue || !tenant) return;
        const batchSize = Number(Object(tenant.spec['queue'])['batchSize'] ?? 1);
        const limit = Math.max(0, ...tenant.limits) * batchSize;
        const held = [...queue.messages().keys()].filter(
          (id) => holders.get(id) === actor && isHeldWithoutJob(world, queue, id),
        );
        // In bad weather a lease that its holder has given up may in truth still last, and the message is held by nobody.
        const forgiven = world.isFair ? 0 : limit + 10;
        if (held.length > limit + forgiven)
          broken(`${actor} holds ${held.length} messages of ${tenant.name} without a Job, ${limit} may be`);
      },
      asked: (what, { id }) => {
        if (what !== 'renew') holders.delete(id);
      },
    };
  },
};

function isHeldWithoutJob({ book, clock }: WorldView, queue: ModelQueue, id: string): boolean {
  const message = queue.messages().get(id);
  if (message?.place !== 'queue' || message.wasDuplicated || message.visibleAtMs <= clock.now()) return false;
  return !book.runsOf(id).some((run) => run.owesSettlement);
}
