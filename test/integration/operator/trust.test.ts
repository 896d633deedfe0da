import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { eventually } from '../../support/eventually.ts';
import type { OperatorProcess } from '../../support/operator-process.ts';
import { conditionOf, ledgerOf, type QueueCase } from '../../support/queue-case.ts';
import { Tenants } from '../../support/tenants.ts';

const HASTY = fileURLToPath(new URL('../../support/hasty-operator.ts', import.meta.url));
/** What is promised of every change that shows. */
const WITHIN_MS = 60_000;
const REFUSED = { status: 'False', reason: 'RoleRefused' } as const;

let tenants: Tenants;
let operator: OperatorProcess;
jest.setTimeout(240_000);

beforeAll(async () => {
  tenants = await Tenants.set(['distrusted']);
  const flags = [`--sts-endpoint=${tenants.sts.endpoint()}`];
  operator = await tenants.stage.startOperator({ sqs: tenants.gate, flags, program: HASTY });
});

afterAll(async () => {
  await tenants.clear();
});

/** Runs the Job of a message to its end, and expects that it has cost one receive. */
async function expectRun(queue: QueueCase, messageId: string): Promise<void> {
  const job = await queue.jobOf(messageId, 1, WITHIN_MS);
  expect(ledgerOf(job).messages.map(({ receiveCount }) => receiveCount)).toEqual([1]);
  await queue.succeed(job);
  await queue.whenSettled(job.metadata.name);
  await queue.whenQueueIsEmpty();
}

test('trust that is taken away shows at the next refresh, costs no message a receive, and heals alone', async () => {
  const reader = await tenants.addReader('distrusted');
  await tenants.letOperatorAct(reader);
  const queue = await tenants.addQueue('distrusted', reader, { maxReceiveCount: 3 });
  await queue.whenCondition('Ready', { status: 'True' });

  tenants.sts.distrust(reader.roleArn);
  await expectRun(queue, await queue.send('with credentials that need no refresh yet'));
  expect(conditionOf(await queue.status(), 'ServiceAccountReady')?.reason).toBe('RoleAssumed');

  // The first half of the credentials is over: a warning, and they are used as long as they last.
  operator.putForward();
  const warning = await queue.whenCondition('ServiceAccountReady', REFUSED, WITHIN_MS);
  expect(warning.message).toContain('Until the credentials at hand expire');
  expect(warning.message).toContain(`The trust policy of ${reader.roleArn} must allow`);
  expect(warning.message).toContain(`sub = system:serviceaccount:${queue.namespace}:poller`);
  expect(conditionOf(await queue.status(), 'Ready')?.status).toBe('True');
  await expectRun(queue, await queue.send('with the old credentials'));

  // The other half as well.
  operator.putForward();
  const { message } = await queue.whenCondition('Ready', REFUSED, WITHIN_MS);
  expect(message).toContain(`The trust policy of ${reader.roleArn} must allow`);
  expect(message).not.toContain('Until the credentials at hand expire');
  expect(await queue.describe()).toContain(message);
  expect(await queue.row()).toMatchObject({ READY: 'False' });
  await eventually(
    () => tenants.stage.sqs.open({ operation: 'ReceiveMessage', queue: queue.queueName }),
    ({ length }) => length === 0,
    { what: 'the last poll to end', timeoutMs: 30_000 },
  );
  const id = await queue.send('waits');
  tenants.obey(message);
  await queue.whenCondition('Ready', { status: 'True' }, WITHIN_MS);
  await expectRun(queue, id);
  expect(await queue.deadLetters()).toBe(0);
});
