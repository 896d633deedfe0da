import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { ANNOTATION_LEDGER, FINALIZER_SETTLEMENT } from '../../../operator/api/names.ts';
import { JOBS } from '../../../operator/world.ts';
import { eventually } from '../../support/eventually.ts';
import { kubectl } from '../../support/kubectl.ts';
import type { OperatorProcess } from '../../support/operator-process.ts';
import { conditionOf, QueueCase } from '../../support/queue-case.ts';
import { arnOf, type Reader, Tenants } from '../../support/tenants.ts';

let tenants: Tenants;
let operator: OperatorProcess;
jest.setTimeout(120_000);

beforeAll(async () => {
  const cases = ['reads', 'owner', 'intruder', 'lent', 'unlent', 'orphans', 'tokens'];
  tenants = await Tenants.set([...cases, 'narrowed']);
  const lent = `arn:aws:sqs:us-east-1:000000000000:${tenants.stage.namespace('lent')}-orders*`;
  operator = await tenants.startOperator(
    [
      `--operator-identity-namespaces=${tenants.stage.namespace('lent')}`,
      `--operator-identity-queues=${lent}`,
    ],
    cases,
  );
});

afterAll(async () => {
  await tenants.clear();
});

/** A tenant that is in order, with a queue that is read. */
async function aTenant(caseName: string): Promise<{ reader: Reader; queue: QueueCase }> {
  const reader = await tenants.addReader(caseName);
  await tenants.letOperatorAct(reader);
  const queue = await tenants.addQueue(caseName, reader, { maxReceiveCount: 5 });
  await queue.whenCondition('Ready', { status: 'True' });
  return { reader, queue };
}

/** Who has called for a queue. */
function callersOf(queueArn: string): readonly string[] {
  return [
    ...new Set(tenants.gate.calls().flatMap((call) => (call.queueArn === queueArn ? [call.caller] : []))),
  ];
}

test.concurrent('a queue is read and settled with the role of its ServiceAccount', async () => {
  const { reader, queue } = await aTenant('reads');
  expect(
    await queue.whenCondition('ServiceAccountReady', { status: 'True', reason: 'RoleAssumed' }),
  ).toMatchObject({
    message: expect.stringContaining(reader.roleArn),
  });

  const job = await queue.runOne('a body');
  await queue.whenQueueIsEmpty();

  expect(callersOf(arnOf(queue))).toEqual([reader.roleArn]);
  expect(tenants.sts.asked(reader.roleArn)).toEqual([
    {
      roleArn: reader.roleArn,
      sessionName: `batchqueue@${reader.namespace}.poller`,
      outcome: 'granted',
      onlyQueueArn: undefined,
    },
  ]);
  const ledger = job.metadata.annotations?.[ANNOTATION_LEDGER] ?? '';
  expect(JSON.parse(ledger)).toMatchObject({ queue: { serviceAccountName: 'poller' } });
  expect(ledger).not.toContain(reader.namespace.concat('"'));
  for (const secret of ['canary-tenant-secret', 'session-', 'eyJ'])
    expect(operator.output()).not.toContain(secret);
});

test.concurrent('a tenant who names the queue of another gets nothing of it, however it is spelt', async () => {
  const { queue: theirs, reader: owner } = await aTenant('owner');
  const { reader, queue: own } = await aTenant('intruder');
  await theirs.apply({ suspend: true });
  await theirs.whenCondition('Dispatching', { status: 'False', reason: 'Suspended' });
  const path = `/000000000000/${theirs.queueName}`;
  const spellings = [
    ['standard', 'https://sqs.us-east-1.amazonaws.com', 'QueueAccessDenied'],
    ['shouting', 'https://SQS.US-EAST-1.AMAZONAWS.COM:443', 'QueueAccessDenied'],
    ['fips', 'https://sqs-fips.us-east-1.amazonaws.com', 'QueueAccessDenied'],
    ['dual', 'https://sqs.us-east-1.api.aws', 'QueueAccessDenied'],
    ['legacy', 'https://us-east-1.queue.amazonaws.com', 'QueueAccessDenied'],
    ['oldest', 'https://queue.amazonaws.com', 'QueueAccessDenied'],
    ['vpce', 'https://vpce-0a1b-c2d3.sqs.us-east-1.vpce.amazonaws.com', 'QueueAccessDenied'],
    ['zonal', 'https://vpce-0a1b-c2d3-us-east-1a.sqs.us-east-1.vpce.amazonaws.com', 'QueueAccessDenied'],
    ['vpce-fips', 'https://vpce-0a1b-c2d3.sqs-fips.us-east-1.vpce.amazonaws.com', 'QueueAccessDenied'],
    ['dual-fips', 'https://sqs-fips.us-east-1.api.aws', 'QueueAccessDenied'],
    ['direct', tenants.stage.emulator.endpoint, 'HostNotAllowed'],
    ['plain', 'http://sqs.us-east-1.amazonaws.com', 'HostNotAllowed'],
    ['port', 'https://sqs.us-east-1.amazonaws.com:8443', 'HostNotAllowed'],
    ['china', 'https://sqs.us-east-1.amazonaws.com.cn', 'HostNotAllowed'],
    ['service', 'https://vpce-0a1b-c2d3.vpce-svc-0a1b.us-east-1.vpce.amazonaws.com', 'HostNotAllowed'],
  ] as const;

  await Promise.all(
    spellings.map(async ([name, origin, reason]) => {
      const intruder = new QueueCase(tenants.stage, 'intruder', {
        name,
        queue: { url: `${origin}${path}`, serviceAccountName: 'poller' },
      });
      await intruder.create();
      const { message } = await intruder.whenCondition('QueueReachable', { status: 'False', reason });
      if (reason === 'QueueAccessDenied')
        expect(message).toContain(`Allow the role of ServiceAccount ${reader.namespace}/poller`);
    }),
  );
  // What SQS might read as the same queue, and is not a URL as SQS gives them out, is not even stored.
  const host = 'sqs.us-east-1.amazonaws.com';
  for (const url of [
    `https://${host}${path}/`,
    `https://${host}/${path}`,
    `https://${host}/queue${path}`,
    `https://${host}${path.replace('/0', '/%30')}`,
    `https://${host}${path.replace('orders', '%6Frders')}`,
    `https://${host}/an-alias/${theirs.queueName}`,
    `https://${host}${path}?Action=ReceiveMessage`,
    `https://${host}${path}#`,
    `https://${host}./000000000000/${theirs.queueName}`,
    `https://user@${host}${path}`,
    `HTTPS://${host}${path}`,
  ]) {
    const odd = new QueueCase(tenants.stage, 'intruder', { name: 'odd', queue: { url } });
    await expect(odd.create()).rejects.toMatchObject({ code: 'Invalid' });
  }
  // Nor by making it the dead-letter queue of one's own.
  await tenants.stage.emulator.createQueue(`${own.queueName}-other`, {
    deadLetter: theirs.queueName,
    maxReceiveCount: 2,
  });
  const indirect = new QueueCase(tenants.stage, 'intruder', {
    name: 'indirect',
    queue: { url: `${own.url()}-other`, serviceAccountName: 'poller' },
    spec: { deadLetter: { sendRejected: true } },
  });
  tenants.gate.allow(reader.roleArn, `${arnOf(own)}-other`);
  await indirect.create();
  await indirect.whenCondition('Ready', { status: 'True' });

  // Nor by claiming the other's role: STS gives it to the account of the other's namespace alone.
  const { namespace } = await tenants.addReader('intruder', 'thief');
  await tenants.annotate('intruder', 'thief', owner.roleArn);
  await tenants.letOperatorAct({ namespace, serviceAccountName: 'thief' });
  const thief = { url: theirs.url(), serviceAccountName: 'thief' };
  const stealing = new QueueCase(tenants.stage, 'intruder', { name: 'stealing', queue: thief });
  await stealing.create();
  await stealing.whenCondition('Ready', { status: 'False', reason: 'RoleRefused' });

  const calls = tenants.gate.calls().filter(({ queueArn }) => queueArn === arnOf(theirs));
  expect(calls.filter(({ allowed, caller }) => allowed && caller !== owner.roleArn)).toEqual([]);
  expect(calls.some(({ caller }) => caller === reader.roleArn)).toBe(true);
  expect((await indirect.status()).queue?.deadLetter).toBeUndefined();
});

test.concurrent('a narrowed session reads the one queue that it is for, whatever its role may', async () => {
  const reader = await tenants.addReader('narrowed');
  await tenants.letOperatorAct(reader);
  const narrow = await tenants.startOperator(['--narrow-sessions=true'], ['narrowed']);
  const names = ['one', 'two'] as const;
  const queues = await Promise.all(
    names.map((name) => tenants.addQueue('narrowed', reader, { name, maxReceiveCount: 5 })),
  );
  for (const queue of queues) {
    // The dead-letter queue is looked at in a session of its own.
    tenants.gate.allow(reader.roleArn, `${arnOf(queue)}-dead`);
    await queue.whenCondition(
      'DeadLetterConfigured',
      { status: 'False', reason: 'DeadLetterRetentionTooShort' },
      60_000,
    );
    await queue.runOne(`of ${queue.name}`);
    await queue.whenQueueIsEmpty();
  }
  const scopes = tenants.sts.asked(reader.roleArn).map(({ onlyQueueArn }) => onlyQueueArn);
  const arns = queues.flatMap((queue) => [arnOf(queue), `${arnOf(queue)}-dead`]);
  expect(scopes).toHaveLength(arns.length);
  expect(new Set(scopes)).toEqual(new Set(arns));
  await narrow.kill();
});

test.concurrent("the operator's own identity is lent to the listed namespace for the listed queues alone", async () => {
  const key = 'AKIDOPERATORTEST';
  const queues = [];
  for (const [caseName, name] of [
    ['lent', 'orders'],
    ['lent', 'others'],
    ['unlent', 'orders'],
  ] as const) {
    const queue = new QueueCase(tenants.stage, caseName, { name });
    await queue.createQueue();
    tenants.gate.allow(key, arnOf(queue));
    await queue.apply();
    queues.push(queue);
  }
  const [listed, unlisted, stranger] = queues;
  if (!listed || !unlisted || !stranger) throw new Error('three were made');

  await listed.whenCondition('ServiceAccountReady', { status: 'True', reason: 'OperatorIdentity' });
  await listed.runOne('a body');
  // Nothing of a ServiceAccount may be seen there, and nobody needs to.
  for (const other of [unlisted, stranger]) {
    await other.whenCondition('ServiceAccountReady', { status: 'False', reason: 'TokenForbidden' });
    const ready = await other.whenCondition('Ready', { status: 'False', reason: 'TokenForbidden' });
    expect(ready.message).toContain('kubectl create role');
    expect(conditionOf(await other.status(), 'QueueReachable')?.status).toBe('Unknown');
    expect(callersOf(arnOf(other))).toEqual([]);
  }
  expect(callersOf(arnOf(listed))).toEqual([key]);
});

test.concurrent('a Job whose BatchQueue is gone is settled in the name that its ledger tells, in its own namespace', async () => {
  const { reader, queue } = await aTenant('orphans');
  const job = await queue.jobOf(await queue.send('outlives its queue'));
  await kubectl('delete', 'bq', queue.name, '-n', queue.namespace, '--cascade=orphan', '--wait');
  await queue.succeed(job);
  const settled = await queue.whenSettled(job.metadata.name);
  await queue.whenQueueIsEmpty();
  expect(callersOf(arnOf(queue))).toEqual([reader.roleArn]);

  // Somebody of this namespace has a Job claim a message of another tenant.
  const ledger = JSON.parse(settled.metadata.annotations?.[ANNOTATION_LEDGER] ?? '');
  const { queue: _, deleted: __, ...rest } = ledger;
  const foreign = arnOf(queue).replace(queue.namespace, 'somebody');
  const forged = {
    ...rest,
    queue: {
      url: queue.url().replace(queue.namespace, 'somebody'),
      arn: foreign,
      serviceAccountName: 'poller',
      namespace: 'kube-system',
    },
  };
  await tenants.stage.client.patch(
    JOBS,
    queue.namespace,
    job.metadata.name,
    {
      metadata: {
        annotations: { [ANNOTATION_LEDGER]: JSON.stringify(forged) },
        finalizers: [FINALIZER_SETTLEMENT],
      },
    },
    { type: 'merge' },
  );
  const calls = await eventually(
    () => tenants.gate.calls().filter(({ queueArn }) => queueArn === foreign),
    (found) => found.some(({ operation }) => operation === 'DeleteMessageBatch'),
    { what: 'a try to settle the forged ledger' },
  );
  expect(new Set(calls.map(({ caller, allowed }) => `${caller} ${allowed}`))).toEqual(
    new Set([`${reader.roleArn} false`]),
  );
});

test.concurrent('the STS of these tests takes what the cluster has signed for the role, and nothing else', async () => {
  const namespace = tenants.stage.namespace('tokens');
  const roleArn = 'arn:aws:iam::000000000000:role/tokens';
  tenants.trust({ namespace, serviceAccountName: 'default', roleArn });
  const tokenFor = async (audience: string) =>
    (await kubectl('create', 'token', 'default', '-n', namespace, `--audience=${audience}`)).trim();
  const ask = async (token: string, role = roleArn) => {
    const response = await fetch(tenants.sts.endpoint(), {
      method: 'POST',
      body: new URLSearchParams({
        Action: 'AssumeRoleWithWebIdentity',
        RoleArn: role,
        RoleSessionName: 'test',
        WebIdentityToken: token,
      }),
    });
    return /<Code>(\w+)<|<AccessKeyId>/.exec(await response.text())?.[1] ?? 'granted';
  };
  const token = await tokenFor('sts.amazonaws.com');
  const [head = '', payload = '', signature = ''] = token.split('.');
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString());
  const other = Buffer.from(JSON.stringify({ ...claims, sub: 'system:serviceaccount:kube-system:x' }));

  expect(await ask(token)).toBe('granted');
  expect(await ask(`${head}.${other.toString('base64url')}.${signature}`)).toBe('InvalidIdentityToken');
  expect(await ask(await tokenFor('somebody.else'))).toBe('InvalidIdentityToken');
  expect(await ask(token, `${roleArn}-of-another`)).toBe('AccessDenied');
});
