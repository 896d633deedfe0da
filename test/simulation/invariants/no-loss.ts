import { BATCH_QUEUES } from '../../../operator/world.ts';
import type { Invariant } from '../truth/view.ts';

export const noLoss: Invariant = {
  id: 'I1',
  name: 'no-loss',
  sentence:
    'In the end every message is done and deleted, or in the dead-letter queue, or still in the queue of a BatchQueue that is gone.',
  atEnd: ({ tenants, api, clock, book }, broken) => {
    for (const { name, namespace, model } of tenants) {
      const isServed = api.get(BATCH_QUEUES, namespace, name) !== undefined;
      for (const { id, place, visibleAtMs } of model.messages().values()) {
        if (place === 'deleted' && !book.mayBeDeleted(id) && !model.messages().get(id)?.copies.length)
          broken(`message ${id} is gone and was never done`);
        if (place !== 'queue') continue;
        if (isServed) broken(`message ${id} of ${name} is still in the queue`);
        else if (visibleAtMs > clock.now())
          broken(`message ${id} is invisible although its BatchQueue is gone`);
      }
    }
  },
};
