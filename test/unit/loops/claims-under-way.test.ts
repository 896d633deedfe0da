import { describe, expect, test } from '@jest/globals';
import { ClaimsUnderWay } from '../../../operator/loops/claims-under-way.ts';
import type { ClaimAction } from '../../../operator/plan/plan.ts';
import { aJob } from '../../support/builders.ts';

const LIMIT = 48;

/** A create that is answered when the test says so. */
interface Create {
  readonly answer: (error?: Error) => void;
}

function actionOf(name: string): ClaimAction {
  return { kind: 'claim', messages: [], secrets: [], job: aJob({ name }) };
}

function begin(claims: ClaimsUnderWay, count: number): Create[] {
  const sent: Create[] = [];
  for (let number = 1; number <= count; number += 1) {
    claims.start(actionOf(`job-${number}`), () => {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      sent.push({ answer: (error) => (error ? reject(error) : resolve()) });
      return promise;
    });
  }
  return sent;
}

/** Lets everything happen that waits for nothing outside. */
async function settle(): Promise<void> {
  await new Promise((resolve) => {
    setImmediate(resolve);
  });
}

describe('claims under way', () => {
  test('are sent up to a limit; each answer lets the next one go', async () => {
    const claims = new ClaimsUnderWay();
    const sent = begin(claims, LIMIT + 2);
    expect(sent).toHaveLength(LIMIT);
    expect(claims.actions()).toHaveLength(LIMIT + 2);

    sent[0]?.answer();
    await settle();
    expect(sent).toHaveLength(LIMIT + 1);
    expect(claims.actions().map(({ job }) => job.metadata.name)).not.toContain('job-1');
  });

  test('that fail keep their reasons for whoever asks first, and hold up nothing', async () => {
    const claims = new ClaimsUnderWay();
    const [first, second] = begin(claims, 2);
    const reason = new Error('refused');
    first?.answer(reason);
    second?.answer();
    await claims.untilIdle();

    expect(claims.isIdle()).toBe(true);
    expect(claims.takeFailures()).toEqual([reason]);
    expect(claims.takeFailures()).toEqual([]);
  });

  test('are waited for together, also after there were none', async () => {
    const claims = new ClaimsUnderWay();
    await claims.untilIdle();
    for (let round = 1; round <= 2; round += 1) {
      const [one, other] = begin(claims, 2);
      let isIdle = false;
      const idle = claims.untilIdle().then(() => {
        isIdle = true;
      });
      one?.answer();
      await settle();
      expect(isIdle).toBe(false);
      other?.answer();
      await idle;
    }
  });
});
