import { expect, test } from '@jest/globals';
import { planConditions } from '../../../operator/plan/conditions.ts';
import { queueReachable } from '../../../operator/plan/queue-conditions.ts';
import type { KnownRights } from '../../../operator/plan/snapshot.ts';
import { aSnapshot } from '../../support/builders.ts';

const GRANTED: KnownRights = { isTried: true, missing: undefined, copying: undefined };
const missing = { reason: 'QueueAccessDenied', message: 'DeleteMessage: AccessDenied. Allow it.' };

test('a right that every message needs later holds intake while it is missing', () => {
  const snapshot = aSnapshot({ rights: { ...GRANTED, missing } });
  expect(queueReachable(snapshot)).toMatchObject({ status: 'False', holdsIntake: true, ...missing });
  const [ready, ...others] = planConditions(snapshot);
  expect(ready).toMatchObject({ type: 'Ready', status: 'False', ...missing });
  expect(others.find(({ type }) => type === 'Dispatching')).toMatchObject({
    status: 'False',
    reason: missing.reason,
  });
});

test('why receives fail is told before what comes after them', () => {
  const receiveProblem = { reason: 'QueueUnreachable', message: 'no answer' };
  expect(queueReachable(aSnapshot({ receiveProblem, rights: { ...GRANTED, missing } }))).toMatchObject(
    receiveProblem,
  );
});

test('nothing is received before rights have been tried', () => {
  expect(queueReachable(aSnapshot({ rights: { ...GRANTED, isTried: false } }))).toMatchObject({
    status: 'Unknown',
    reason: 'Checking',
    holdsIntake: true,
  });
});
