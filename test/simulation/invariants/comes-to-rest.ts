import { BATCH_QUEUES } from '../../../operator/world.ts';
import type { Invariant, SentRequest } from '../truth/view.ts';

const KUBE_WRITE = /^(create|patch|delete|dry-run) (jobs|pods|secrets|batchqueues|controllerrevisions)/;
const SETTLING = /^(renew|release|delete messages|copy)/;

export const comesToRest: Invariant = {
  id: 'I12',
  name: 'comes-to-rest',
  sentence:
    'At rest nothing is written or settled, and each operator sends per queue and minute at most three receives and one read of attributes.',
  atEnd: ({ requests, restSinceMs, clock, tenants, api }, broken) => {
    const late = requests.filter(({ atMs }) => atMs >= restSinceMs);
    const minutes = (clock.now() - restSinceMs) / 60_000;
    const writes = late.filter(({ what }) => KUBE_WRITE.test(what) || SETTLING.test(what));
    if (writes.length > 0)
      broken(
        `at rest: ${writes
          .slice(0, 3)
          .map(({ by, what }) => `${by}: ${what}`)
          .join('; ')}`,
      );
    const served = tenants.filter(({ name, namespace }) => api.get(BATCH_QUEUES, namespace, name)).length;
    for (const [actor, sent] of byActor(late)) {
      for (const { model } of tenants) {
        const name = model.ref.url.split('/').at(-1) ?? '';
        const receives = sent.filter(
          ({ what }) => what.startsWith('receive ') && what.includes(` of ${name}`),
        ).length;
        if (receives > 3 * minutes + 1)
          broken(`${actor} sent ${receives} receives of ${name} in ${minutes} minutes`);
      }
      // Several BatchQueues may name one queue: each of them looks at it.
      const reads = sent.filter(({ what }) => what.startsWith('describe '));
      for (const [what, { length }] of Map.groupBy(reads, (read) => read.what))
        if (length > (minutes + 1) * served)
          broken(`${actor}: ${length} times in ${minutes} minutes: ${what}`);
    }
  },
};

function byActor(requests: readonly SentRequest[]): Iterable<[string, SentRequest[]]> {
  const actors = new Map<string, SentRequest[]>();
  for (const request of requests) {
    const known = actors.get(request.by) ?? [];
    known.push(request);
    actors.set(request.by, known);
  }
  return actors;
}
