import { expect, test } from '@jest/globals';
import { hasOtherConsumers } from '../../../operator/plan/other-consumers.ts';
import { aClaim, anInboxMessage } from '../../support/builders.ts';

const failedOnce = aClaim({ message: { receiveCount: 1 }, outcome: 'failed', settled: true });

test.each<[string, number, boolean]>([
  ['the next receive is ours', 2, false],
  ['a receive in between was somebody else’s', 3, true],
  ['several were', 7, true],
])('when %s', (_, receiveCount, expected) => {
  expect(hasOtherConsumers([anInboxMessage({ receiveCount })], [failedOnce])).toBe(expected);
});

test('a message of which nothing is remembered says nothing', () => {
  expect(hasOtherConsumers([anInboxMessage({ receiveCount: 9 })], [])).toBe(false);
});
