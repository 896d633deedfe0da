import type { Invariant } from '../truth/view.ts';

/** The same request of one operator, so many times within a second; the indexes of one Job may end one by one. */
const LIMIT = 25;

export const noHotLoop: Invariant = {
  id: 'I11',
  name: 'no-hot-loop',
  sentence: 'No operator sends the same request to one object over and over within a second.',
  atEnd: ({ requests }, broken) => {
    const recent = new Map<string, number[]>();
    for (const { what, by, atMs } of requests) {
      if (!/^(get|create|patch|delete|dry-run) /.test(what)) continue;
      const key = `${by}: ${what.replace(/ \(\w+\)$/, '')}`;
      const times = recent.get(key) ?? [];
      times.push(atMs);
      if (times.length > LIMIT) times.shift();
      recent.set(key, times);
      if (times.length === LIMIT && atMs - (times[0] ?? 0) < 1_000) {
        broken(`${key}: ${LIMIT} times within a second`);
        return;
      }
    }
  },
};
