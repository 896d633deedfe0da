import { expect, test } from '@jest/globals';
import { OperatorError } from '../../../operator/errors.ts';
import { RepeatedFailures } from '../../../operator/loops/repeated-failures.ts';
import { VirtualClock } from '../../support/virtual-clock.ts';

const TRIES_AT_ONCE = 5;

/** Counts how often it is really tried. */
class Work {
  tried = 0;
  error: Error | undefined;

  constructor(error?: Error) {
    this.error = error;
  }

  readonly run = (): Promise<void> => {
    this.tried += 1;
    return this.error ? Promise.reject(this.error) : Promise.resolve();
  };
}

/** What came of it, so many times. */
async function tryOften(failures: RepeatedFailures, work: Work, times: number) {
  const outcomes: unknown[] = [];
  for (let time = 0; time < times; time += 1)
    outcomes.push(
      await failures.try('settle a', work.run).then(
        () => 'done',
        (error: unknown) => error,
      ),
    );
  return outcomes;
}

test('what has failed five times is tried once a second; in between it fails with the last error', async () => {
  const clock = new VirtualClock();
  const failures = new RepeatedFailures(clock);
  const error = new Error('unreachable');
  const work = new Work(error);
  expect(new Set(await tryOften(failures, work, 40))).toEqual(new Set([error]));
  expect(work.tried).toBe(TRIES_AT_ONCE);

  await clock.advance(1_000);
  await tryOften(failures, work, 40);
  expect(work.tried).toBe(TRIES_AT_ONCE + 1);
});

test('another action is tried meanwhile, and this one at once when it has succeeded', async () => {
  const clock = new VirtualClock();
  const failures = new RepeatedFailures(clock);
  const work = new Work(new Error('unreachable'));
  await tryOften(failures, work, TRIES_AT_ONCE);
  const other = new Work();
  await failures.try('settle b', other.run);
  expect(other.tried).toBe(1);

  await clock.advance(1_000);
  work.error = undefined;
  expect(await tryOften(failures, work, 40)).toEqual(Array.from({ length: 40 }, () => 'done'));
});

test('what was refused for want of leadership was not tried: whoever leads again begins at once', async () => {
  const failures = new RepeatedFailures(new VirtualClock());
  const work = new Work(
    new OperatorError({ code: 'NotLeader', verdict: 'retry', message: 'not the leader' }),
  );
  await tryOften(failures, work, 40);
  expect(work.tried).toBe(40);
});
