import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { EVENTS } from '../../../operator/world.ts';
import { eventually } from '../../support/eventually.ts';
import { kubectl, tryKubectl } from '../../support/kubectl.ts';
import { conditionOf, ledgerOf, QueueCase } from '../../support/queue-case.ts';
import { arnOf, ROLE_ANNOTATION, Tenants } from '../../support/tenants.ts';

/** What is promised of every recovery. */
const WITHIN_MS = 60_000;

let tenants: Tenants;
jest.setTimeout(240_000);

beforeAll(async () => {
  tenants = await Tenants.set([
    'mended',
    'forbidden',
    'revoked',
    'removed',
    'no-receivemessage',
    'no-deletemessage',
    'no-changemessagevisibility',
    'no-getqueueattributes',
    'undeletable',
    'midway',
  ]);
  await tenants.startOperator();
});

afterAll(async () => {
  await tenants.clear();
});

/** A BatchQueue whose ServiceAccount is still to be made. */
async function aBatchQueue(caseName: string): Promise<QueueCase> {
  const queue = new QueueCase(tenants.stage, caseName, { queue: { serviceAccountName: 'poller' } });
  await queue.createQueue();
  await queue.apply();
  return queue;
}

test.concurrent('each fault of a ServiceAccount is named with its remedy, and its mending seen within a minute', async () => {
  const namespace = tenants.stage.namespace('mended');
  const reader = {
    namespace,
    serviceAccountName: 'poller',
    roleArn: 'arn:aws:iam::000000000000:role/mended',
  };
  await tenants.letOperatorAct(reader);
  const queue = await aBatchQueue('mended');
  const told = async (reason: string) => {
    const { message } = await queue.whenCondition(
      'ServiceAccountReady',
      { status: 'False', reason },
      WITHIN_MS,
    );
    await queue.whenCondition('Ready', { status: 'False', reason });
    return message;
  };
  tenants.gate.allow(reader.roleArn, arnOf(queue));

  expect(await told('ServiceAccountNotFound')).toContain(`ServiceAccount ${namespace}/poller does not exist`);
  await kubectl('create', 'serviceaccount', 'poller', '-n', namespace);
  expect(await told('RoleMissing')).toContain('kubectl annotate serviceaccount poller');
  await tenants.annotate('mended', 'poller', 'role/mended');
  expect(await told('RoleInvalid')).toContain('"role/mended"');
  await tenants.annotate('mended', 'poller', reader.roleArn);
  expect(await told('RoleRefused')).toContain(`sub = system:serviceaccount:${namespace}:poller`);
  tenants.trust(reader, 'another.audience');
  expect(await told('TokenRefused')).toContain('sts.amazonaws.com');
  await kubectl('annotate', 'sa', 'poller', 'eks.amazonaws.com/audience=another.audience', '-n', namespace);
  await queue.whenCondition('Ready', { status: 'True' }, WITHIN_MS);

  await queue.runOne('a body');
  expect(
    tenants.gate
      .calls()
      .filter(({ queueArn, caller }) => queueArn === arnOf(queue) && caller !== reader.roleArn),
  ).toEqual([]);
  // One event for each fault, and one for the end of the last; the Role may have come a moment too late for the first look.
  const { items } = await tenants.stage.client.list(EVENTS, { namespace });
  const reasons = items
    .map(({ reason }) => String(reason))
    .filter((reason) => /^(Service|Role|Token(?!Forbidden))/.test(reason));
  expect(reasons.toSorted()).toEqual([
    'RoleInvalid',
    'RoleMissing',
    'RoleRefused',
    'ServiceAccountNotFound',
    'ServiceAccountReady',
    'TokenRefused',
  ]);
});

test.concurrent('an operator that may not act as the account names the line that lets it, and needs all of it', async () => {
  const reader = await tenants.addReader('forbidden');
  const queue = await tenants.addQueue('forbidden', reader);
  const { namespace } = queue;
  const { message } = await queue.whenCondition('Ready', { status: 'False', reason: 'TokenForbidden' });
  expect(message).toContain('(get serviceaccounts is forbidden)');
  const readable = ['--verb=get', '--resource=serviceaccounts', '--resource-name=poller'];
  await kubectl('create', 'role', 'half', '-n', namespace, ...readable);
  const subject = '--serviceaccount=batchqueue-system:batchqueue-operator';
  await kubectl('create', 'rolebinding', 'half', '-n', namespace, '--role=half', subject);
  await eventually(
    () => queue.status(),
    (status) =>
      conditionOf(status, 'ServiceAccountReady')?.message?.includes(
        '(create serviceaccounts/token is forbidden)',
      ) ?? false,
    { what: 'the other half of the permission to be missed', timeoutMs: WITHIN_MS },
  );
  expect(tenants.sts.asked(reader.roleArn)).toEqual([]);

  for (const line of message.slice(message.indexOf('kubectl ')).split(' && ')) {
    const { ok, stderr } = await tryKubectl(line.trim().split(' ').slice(1));
    expect({ line, ok, stderr }).toEqual({ line, ok: true, stderr: '' });
  }
  await queue.whenCondition('Ready', { status: 'True' }, WITHIN_MS);
  await queue.runOne('a body');
});

test.concurrent('a permission on the queue that is taken away shows within a minute, costs no receive, and heals', async () => {
  const reader = await tenants.addReader('revoked');
  await tenants.letOperatorAct(reader);
  const queue = await tenants.addQueue('revoked', reader);
  await queue.whenCondition('Ready', { status: 'True' });

  tenants.gate.forbid(reader.roleArn, arnOf(queue));
  const denied = { status: 'False', reason: 'QueueAccessDenied' } as const;
  const { message } = await queue.whenCondition('QueueReachable', denied, WITHIN_MS);
  expect(message).toContain(`Allow the role of ServiceAccount ${queue.namespace}/poller sqs:ReceiveMessage`);
  await queue.whenCondition('ServiceAccountReady', { status: 'True', reason: 'RoleAssumed' });
  const id = await queue.send('waits');
  tenants.obey(message);
  await queue.whenCondition('Ready', { status: 'True' }, WITHIN_MS);
  const ledger = ledgerOf(await queue.jobOf(id));
  expect(ledger.messages[0]?.receiveCount).toBe(1);
});

test.concurrent.each(['ReceiveMessage', 'DeleteMessage', 'ChangeMessageVisibility', 'GetQueueAttributes'])(
  'sqs:%s alone that is taken away shows within a minute, costs no receive, and heals',
  async (action) => {
    const caseName = `no-${action.toLowerCase()}`;
    const reader = await tenants.addReader(caseName);
    await tenants.letOperatorAct(reader);
    const queue = await tenants.addQueue(caseName, reader);
    await queue.whenCondition('Ready', { status: 'True' });

    tenants.gate.forbid(reader.roleArn, arnOf(queue), action);
    const denied = { status: 'False', reason: 'QueueAccessDenied' } as const;
    const { message } = await queue.whenCondition('QueueReachable', denied, WITHIN_MS);
    expect(message).toContain(`${action}: AccessDenied`);
    expect(message).toContain(
      `Allow the role of ServiceAccount ${queue.namespace}/poller sqs:ReceiveMessage`,
    );
    await queue.whenCondition('Dispatching', denied);
    expect(await queue.row()).toMatchObject({ READY: 'False' });
    const id = await queue.send('waits');
    tenants.obey(message);
    await queue.whenCondition('Ready', { status: 'True' }, WITHIN_MS);
    const job = await queue.jobOf(id);
    expect(ledgerOf(job).messages[0]?.receiveCount).toBe(1);
    await queue.succeed(job);
    await queue.whenQueueIsEmpty();
  },
);

test.concurrent('a role that may receive and not delete has no message received, from the start', async () => {
  const reader = await tenants.addReader('undeletable');
  await tenants.letOperatorAct(reader);
  const queue = new QueueCase(tenants.stage, 'undeletable', { queue: { serviceAccountName: 'poller' } });
  await queue.createQueue();
  tenants.gate.allow(reader.roleArn, arnOf(queue));
  tenants.gate.forbid(reader.roleArn, arnOf(queue), 'DeleteMessage');
  const id = await queue.send('waits');
  await queue.apply();
  await queue.whenCondition('Ready', { status: 'False', reason: 'QueueAccessDenied' });
  const received = tenants.gate
    .calls()
    .filter(({ queueArn, operation }) => queueArn === arnOf(queue) && operation === 'ReceiveMessage');
  expect(received).toEqual([]);
  tenants.gate.allow(reader.roleArn, arnOf(queue));
  expect(ledgerOf(await queue.jobOf(id, 1, WITHIN_MS)).messages[0]?.receiveCount).toBe(1);
});

test.concurrent('a permission that goes while Jobs run keeps their messages, and settles them when it is back', async () => {
  const reader = await tenants.addReader('midway');
  await tenants.letOperatorAct(reader);
  const queue = await tenants.addQueue('midway', reader);
  const id = await queue.send('runs');
  const job = await queue.jobOf(id, 1, WITHIN_MS);
  tenants.gate.forbid(reader.roleArn, arnOf(queue), 'DeleteMessage');
  await queue.succeed(job);
  await queue.whenCondition('Ready', { status: 'False', reason: 'QueueAccessDenied' }, 10_000);
  const next = await queue.send('waits');
  tenants.gate.allow(reader.roleArn, arnOf(queue));
  await queue.whenCondition('Ready', { status: 'True' }, WITHIN_MS);
  await queue.succeed(await queue.jobOf(next));
  await queue.whenQueueIsEmpty();
  const counts = [id, next].map(async (each) => ledgerOf(await queue.jobOf(each)).messages[0]?.receiveCount);
  expect(await Promise.all(counts)).toEqual([1, 1]);
});

test.concurrent('an account that is removed, or gets another role, is not used any more within a minute', async () => {
  const reader = await tenants.addReader('removed');
  await tenants.letOperatorAct(reader);
  const queue = await tenants.addQueue('removed', reader);
  await queue.whenCondition('Ready', { status: 'True' });

  await kubectl('delete', 'sa', 'poller', '-n', queue.namespace);
  await queue.whenCondition('Ready', { status: 'False', reason: 'ServiceAccountNotFound' }, WITHIN_MS);
  const other = { ...reader, roleArn: `${reader.roleArn}-other` };
  tenants.trust(other);
  tenants.gate.allow(other.roleArn, arnOf(queue));
  await kubectl('create', 'sa', 'poller', '-n', queue.namespace);
  await kubectl('annotate', 'sa', 'poller', `${ROLE_ANNOTATION}=${other.roleArn}`, '-n', queue.namespace);
  await queue.whenCondition('Ready', { status: 'True' }, WITHIN_MS);
  const before = tenants.gate.calls().length;
  await queue.runOne('a body');
  const callers = tenants.gate
    .calls()
    .slice(before)
    .filter(({ queueArn }) => queueArn === arnOf(queue));
  expect(new Set(callers.map(({ caller }) => caller))).toEqual(new Set([other.roleArn]));
});

test.concurrent('what is shipped for tenants is accepted as it is', async () => {
  const shipped = (path: string) => fileURLToPath(new URL(`../../../deploy/${path}`, import.meta.url));
  await kubectl('apply', '--dry-run=server', '-k', shipped('tenant'));
  await kubectl('apply', '--dry-run=server', '-f', shipped('operator/all-namespaces/service-accounts.yaml'));
});
