import { slotOf } from '../operator/operator.ts';
import type { Invariant } from '../truth/view.ts';

export const withinLimit: Invariant = {
  id: 'I9',
  name: 'within-limit',
  sentence:
    'No Job is made beyond maxConcurrentJobs; messages that were received under a larger one still run, and operators that act at the same time count apart.',
  watch: (world, broken) => {
    const makers = new Map<string, Set<string>>();
    return {
      made: ({ name, batchQueue, by }) => {
        const slots = new Set(makers.get(batchQueue)).add(slotOf(by));
        makers.set(batchQueue, slots);
        const limit = Math.max(0, ...(world.tenantOf(batchQueue)?.limits ?? [])) * slots.size;
        let active = 1;
        for (const run of world.book.runs())
          if (run.batchQueue === batchQueue && !run.gone && run.finished === 'no') active += 1;
        if (active > limit)
          broken(`${active} Jobs of ${batchQueue} are active with ${name}, ${limit} may be`);
      },
    };
  },
};
