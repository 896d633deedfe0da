import { batchQueueStatusSchema } from '../../../operator/api/status.ts';
import { BATCH_QUEUES } from '../../../operator/world.ts';
import type { Invariant } from '../truth/view.ts';

export const truthfulStatus: Invariant = {
  id: 'I14',
  name: 'truthful-status',
  sentence:
    'In the end status says what is so: nothing active, the counts of the queue, ready, dispatching and drained.',
  atEnd: ({ tenants, api }, broken) => {
    for (const { name, namespace, model } of tenants) {
      const object = api.get(BATCH_QUEUES, namespace, name);
      if (!object) continue;
      const parsed = batchQueueStatusSchema.safeParse(object['status']);
      if (!parsed.success) {
        broken(`the status of ${name} is not valid`);
        continue;
      }
      const { jobs, queue, conditions = [], observedGeneration } = parsed.data;
      const said = {
        observedGeneration,
        active: jobs?.active,
        visible: queue?.visible,
        inFlight: queue?.inFlight,
        deadLetter: queue?.deadLetter,
        ...Object.fromEntries(conditions.map(({ type, status }) => [type, status])),
      };
      const so = {
        observedGeneration: object.metadata.generation,
        active: 0,
        visible: 0,
        inFlight: 0,
        deadLetter: model.hasDeadLetters() ? model.countDeadLetters() : undefined,
        Ready: 'True',
        Dispatching: 'True',
        Drained: 'True',
      };
      for (const [field, value] of Object.entries(so)) {
        const told: unknown = new Map<string, unknown>(Object.entries(said)).get(field);
        if (told !== value)
          broken(`status of ${name}: ${field} is ${String(told)}, in truth ${String(value)}`);
      }
    }
  },
};
