import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Case } from './case.ts';
import { CASES } from './cases.ts';
import { DEVIATIONS } from './deviations.ts';
import { Stage } from './stage.ts';
import type { Feature, Subject, SubjectName } from './subject.ts';

export interface SuiteOptions {
  readonly name: SubjectName;
  readonly features: ReadonlySet<Feature>;
  /** Milliseconds that all cases together may take. */
  readonly timeoutMs: number;
  readonly start: () => Promise<Subject>;
}

/** How many cases are observed at the same time: they mostly wait, but each begins with a burst of requests. */
const AT_ONCE = 14;

/**
 * Holds whatever `start` brings to every case whose features it has: it must do what AWS does, or what the table of
 * deviations says that it does instead. Cases have queues of their own, so many are observed at the same time (those of
 * other suites in the file too), and all are judged one by one.
 */
export function conformanceSuite({ name, features, timeoutMs, start }: SuiteOptions): void {
  const cases = CASES.filter(({ needs = [] }) => needs.every((feature) => features.has(feature)));
  const starting = start();
  const observing = starting.then((subject) => observeAll(subject, cases));
  // Reported by the hook below.
  observing.catch(() => undefined);
  let observations: Awaited<typeof observing> | undefined;

  describe(name, () => {
    beforeAll(async () => {
      observations = await observing;
    }, timeoutMs);

    afterAll(async () => {
      await (await starting).stop();
    }, timeoutMs);

    test.each(cases.map((one) => [one.name, one.aws] as const))('%s', (caseName, aws) => {
      const observation = observations?.get(caseName);
      if (observation?.status !== 'fulfilled') throw observation?.reason;
      const deviation = DEVIATIONS.find((row) => row.subject === name && row.case === caseName);
      expect(observation.value).toEqual(deviation ? deviation.observed : aws);
    });
  });
}

async function observeAll(
  subject: Subject,
  cases: readonly Case[],
): Promise<ReadonlyMap<string, PromiseSettledResult<unknown>>> {
  const stage = new Stage(subject);
  const observations = new Map<string, PromiseSettledResult<unknown>>();
  const waiting = [...cases];
  const observer = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const [observation] = await Promise.allSettled([next.observe(stage)]);
      observations.set(next.name, observation);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, observer));
  return observations;
}
