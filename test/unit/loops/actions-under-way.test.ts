import { describe, expect, test } from '@jest/globals';
import { ActionsUnderWay } from '../../../operator/loops/actions-under-way.ts';

const LIMIT = 48;

/** A create that is answered when the test says so. */
interface Create {
  readonly answer: (error?: Error) => void;
}

function begin(actions: ActionsUnderWay<number>, count: number): Create[] {
  const sent: Create[] = [];
  for (let number = 1; number <= count; number += 1) {
    actions.start(`job-${number}`, number, () => {
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

describe('actions under way', () => {
  test('are sent up to a limit; each answer lets the next one go', async () => {
    const actions = new ActionsUnderWay<number>();
    const sent = begin(actions, LIMIT + 2);
    expect(sent).toHaveLength(LIMIT);
    expect(actions.actions()).toHaveLength(LIMIT + 2);

    sent[0]?.answer();
    await settle();
    expect(sent).toHaveLength(LIMIT + 1);
    expect(actions.actions()).not.toContain(1);
  });

  test('that fail keep their reasons for whoever asks first, and hold up nothing', async () => {
    const actions = new ActionsUnderWay<number>();
    const [first, second] = begin(actions, 2);
    const reason = new Error('refused');
    first?.answer(reason);
    second?.answer();
    await actions.untilIdle();

    expect(actions.isIdle()).toBe(true);
    expect(actions.takeFailures()).toEqual([reason]);
    expect(actions.takeFailures()).toEqual([]);
  });

  test('are waited for together, also after there were none', async () => {
    const actions = new ActionsUnderWay<number>();
    await actions.untilIdle();
    for (let round = 1; round <= 2; round += 1) {
      const [one, other] = begin(actions, 2);
      let isIdle = false;
      const idle = actions.untilIdle().then(() => {
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
