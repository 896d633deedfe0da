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

/**
 * Holds whatever `start` brings to every case whose features it has: it must do what AWS does, or what the table of
 * deviations says that it does instead. Cases have queues of their own and mostly wait, so they are all observed at the
 * same time (those of other suites in the file too) and judged one by one.
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
  const observe = async ({ name, observe: look }: Case) => {
    const [observation] = await Promise.allSettled([look(stage)]);
    return [name, observation] as const;
  };
  const light = await Promise.all(cases.filter(({ heavy }) => !heavy).map(observe));
  return new Map([...light, ...(await Promise.all(cases.filter(({ heavy }) => heavy).map(observe)))]);
}
