import { slotOf } from '../operator/operator.ts';
import type { Run } from '../truth/run.ts';
import type { Invariant, WorldView } from '../truth/view.ts';

export const withinLimit: Invariant = {
  id: 'I9',
  name: 'within-limit',
  sentence:
    'No Job is made beyond maxConcurrentJobs; messages that were received under a larger one still run, operators that act at the same time count apart, and each sees to the next runs of what the other has begun; nobody counts what a process that has ended left on the wire.',
  watch: (world, broken) => {
    const makers = new Map<string, Set<string>>();
    const strays = new Set<string>();
    return {
      made: (run) => {
        const { uid, name, batchQueue, by } = run;
        if (isStray(run, world)) {
          strays.add(uid);
          return;
        }
        const slots = new Set(makers.get(batchQueue)).add(slotOf(by));
        makers.set(batchQueue, slots);
        if (slots.size > 1 && isNextRun(run)) return;
        const limit = Math.max(0, ...(world.tenantOf(batchQueue)?.limits ?? [])) * slots.size;
        let active = 1;
        for (const other of world.book.runs()) {
          const isActive = !other.gone && other.finished === 'no' && !strays.has(other.uid);
          if (other.batchQueue === batchQueue && isActive) active += 1;
        }
        if (active > limit)
          broken(`${active} Jobs of ${batchQueue} are active with ${name}, ${limit} may be`);
      },
    };
  },
};

/** It holds what another Job held, which ended without its worker's doing. */
function isNextRun({ name }: Run): boolean {
  return /-r\d+$/.test(name);
}

/** Its maker has ended since it asked for it: the next process in its place has begun to ask. */
function isStray({ by }: Run, { requests }: WorldView): boolean {
  const newest = requests.findLast((request) => slotOf(request.by) === slotOf(by));
  return newest !== undefined && newest.by !== by;
}
