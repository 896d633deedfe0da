import { expect, test } from '@jest/globals';
import { OperatorError } from '../../../operator/errors.ts';
import { Heartbeat } from '../../../operator/loops/heartbeat.ts';
import { QueueSession } from '../../../operator/loops/queue-session.ts';
import { serviceAccountCheck } from '../../../operator/loops/service-account-check.ts';
import { templateOf } from '../../../operator/plan/revision.ts';
import type { ReaderState } from '../../../operator/world.ts';
import { aQueue } from '../../support/builders.ts';
import { MemoryLog } from '../../support/logs.ts';
import { StubQueue } from '../../support/stub-queue.ts';
import { VirtualClock } from '../../support/virtual-clock.ts';

const ROLE = 'arn:aws:iam::123456789012:role/poller';
const REFUSED = new OperatorError({
  code: 'RoleRefused',
  verdict: 'terminal',
  message: 'Correct the trust policy.',
});
const SUBJECT = { queue: aQueue(), template: templateOf(aQueue()) };

function checkOf(state: ReaderState) {
  return serviceAccountCheck({ check: () => Promise.resolve(state) });
}

test.each<[ReaderState, object]>([
  [{ kind: 'operator' }, { status: 'True', reason: 'OperatorIdentity', holdsIntake: false }],
  [
    { kind: 'role', roleArn: ROLE, problem: undefined },
    { status: 'True', reason: 'RoleAssumed', holdsIntake: false, message: expect.stringContaining(ROLE) },
  ],
  [
    { kind: 'role', roleArn: ROLE, problem: REFUSED },
    {
      status: 'False',
      reason: 'RoleRefused',
      holdsIntake: false,
      message: expect.stringMatching(/^Correct the trust policy. Until the credentials at hand expire/),
    },
  ],
  [
    { kind: 'role', roleArn: undefined, problem: REFUSED },
    { status: 'False', reason: 'RoleRefused', holdsIntake: true, message: REFUSED.message },
  ],
])('of %j it says %j', async (state, expected) => {
  expect(await checkOf(state).run(SUBJECT)).toMatchObject(expected);
});

test('depends on who reads which queue, and on nothing else', () => {
  const { dependsOn } = checkOf({ kind: 'operator' });
  const of = (spec: object) => {
    const queue = aQueue({ spec });
    return dependsOn({ queue, template: templateOf(queue) });
  };
  expect(of({ maxConcurrentJobs: 3 })).toEqual(of({}));
  expect(of({ serviceAccountName: 'worker' })).not.toEqual(of({}));
  const polled = { queue: { ...aQueue().spec.queue, serviceAccountName: 'poller' } };
  expect(of({ ...polled, serviceAccountName: 'worker' })).toEqual(of(polled));
});

test('nothing is asked of a queue before its ServiceAccount is ready, and it is asked at once then', async () => {
  const clock = new VirtualClock();
  const queue = new StubQueue();
  const log = new MemoryLog();
  let state: ReaderState = { kind: 'role', roleArn: undefined, problem: REFUSED };
  const heartbeat = new Heartbeat({
    queue,
    clock,
    log,
    onLost: () => undefined,
    onRestored: () => undefined,
  });
  const session: QueueSession = new QueueSession({
    key: 'shop/orders',
    queue,
    clock,
    heartbeat,
    log,
    random: () => 0.5,
    checks: [serviceAccountCheck({ check: () => Promise.resolve(state) })],
    onChange: () => session.lookAt(SUBJECT),
  });
  session.lookAt(SUBJECT);
  await clock.advance(120_000);
  expect(queue.described).toEqual([]);
  state = { kind: 'role', roleArn: ROLE, problem: undefined };
  await clock.advance(11_000);
  expect(queue.described).not.toEqual([]);
  session.close();
});
