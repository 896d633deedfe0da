import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { CreateQueueCommand, SetQueueAttributesCommand } from '@aws-sdk/client-sqs';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { jobName } from '../../../operator/plan/job-name.ts';
import { eventuallyEqual } from '../../support/eventually.ts';
import { apply, kubectl } from '../../support/kubectl.ts';
import type { OperatorProcess } from '../../support/operator-process.ts';
import { OperatorStage } from '../../support/operator-stage.ts';
import { jobTemplate, QueueCase } from '../../support/queue-case.ts';

/** How soon a condition must tell of a queue that cannot be read. */
const TOLD_WITHIN_MS = 5_000;
let stage: OperatorStage;
let operator: OperatorProcess;
jest.setTimeout(90_000);

beforeAll(async () => {
  stage = await OperatorStage.set(['host', 'missing', 'template', 'redrive', 'taken']);
  operator = await stage.startOperator();
});

afterAll(async () => {
  await stage.clear();
});

test.concurrent('a queue on a host that is not allowed is never contacted', async () => {
  const listener = createServer((socket) => socket.destroy());
  let connections = 0;
  listener.on('connection', () => {
    connections += 1;
  });
  const port = await listenOn(listener, '127.0.0.9');
  const queue = new QueueCase(stage, 'host');

  await queue.apply({ queue: { url: `http://127.0.0.9:${port}/000000000000/orders` } });
  const condition = await queue.whenCondition(
    'QueueReachable',
    { status: 'False', reason: 'HostNotAllowed' },
    TOLD_WITHIN_MS,
  );
  expect(condition.message).toContain(`127.0.0.9:${port}`);
  expect(condition.message).toContain('--allowed-queue-hosts');
  await queue.whenCondition('Ready', { status: 'False', reason: 'HostNotAllowed' });
  await queue.whenCondition('Dispatching', { status: 'False', reason: 'HostNotAllowed' });

  await theOthersGoOn('host');
  expect(connections).toBe(0);
  listener.close();
  await once(listener, 'close');
});

test.concurrent('a queue that does not exist is told of, and read as soon as it exists', async () => {
  const queue = new QueueCase(stage, 'missing');
  await queue.apply();
  await queue.whenCondition('QueueReachable', { status: 'False', reason: 'QueueNotFound' }, TOLD_WITHIN_MS);
  await theOthersGoOn('missing');

  await queue.createQueue();
  await queue.whenCondition('Ready', { status: 'True' }, 60_000);
  await queue.runOne('at last');
});

test.concurrent('a template that the server refuses stops intake before it begins', async () => {
  const queue = new QueueCase(stage, 'template');
  await queue.createQueue();
  await queue.send('waits');
  const volumeMounts = [{ name: 'nowhere', mountPath: '/data' }];
  const containers = [{ name: 'worker', image: 'worker:1', volumeMounts }];
  await queue.apply({ jobTemplate: { spec: { template: { spec: { containers } } } } });

  const condition = await queue.whenCondition('TemplateValid', {
    status: 'False',
    reason: 'TemplateRefused',
  });
  expect(condition.message).toContain('volumeMounts[0].name: Not found: "nowhere"');
  await queue.whenCondition('Ready', { status: 'False', reason: 'TemplateRefused' });
  await theOthersGoOn('template');
  expect(stage.sqs.requests({ operation: 'ReceiveMessage', queue: queue.queueName })).toEqual([]);

  await queue.apply({ jobTemplate: jobTemplate('worker:2') });
  await queue.whenCondition('Ready', { status: 'True' });
  await eventuallyEqual(async () => (await queue.jobs()).length, 1, {
    what: 'the Job of the waiting message',
  });
});

test.concurrent('what a queue lacks of a dead-letter queue is told with the commands that make it so', async () => {
  const queue = new QueueCase(stage, 'redrive', {});
  await queue.createQueue();
  await queue.apply();
  const wanting = { status: 'False', reason: 'NoRedrivePolicy' } as const;
  const { message } = await queue.whenCondition('DeadLetterConfigured', wanting);
  const [, name = '', made = ''] =
    /aws sqs create-queue .*--queue-name (\S+) --attributes '(\S+)'/.exec(message) ?? [];
  const [, url = '', set = ''] =
    /aws sqs set-queue-attributes .*--queue-url (\S+) --attributes '(\S+)'$/.exec(message) ?? [];
  expect(url).toBe(queue.url());
  const { client, endpoint } = stage.emulator;
  await client.send(new CreateQueueCommand({ QueueName: name, Attributes: JSON.parse(made) }));
  const QueueUrl = `${endpoint}${new URL(url).pathname}`;
  await client.send(new SetQueueAttributesCommand({ QueueUrl, Attributes: JSON.parse(set) }));
  await queue.whenCondition('DeadLetterConfigured', { status: 'True', reason: 'RedrivePolicySet' }, 70_000);
});

test.concurrent("somebody else's Job under the name of ours is left alone and reported", async () => {
  const queue = new QueueCase(stage, 'taken');
  await queue.createQueue();
  const id = await queue.send('blocked');
  const queueArn = `arn:aws:sqs:us-east-1:000000000000:${queue.queueName}`;
  const name = jobName({ batchQueueName: queue.name, queueArn, messageId: id, lock: 1, run: 1 });
  await apply({
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name, namespace: queue.namespace },
    spec: {
      suspend: true,
      template: { spec: { restartPolicy: 'Never', containers: [{ name: 'x', image: 'theirs' }] } },
    },
  });
  const theirs = await queue.getJob(name);

  await queue.apply();
  const condition = await queue.whenCondition('Ready', { status: 'False', reason: 'JobNotCreated' });
  expect(condition.message).toContain(name);
  await queue.runOne('not blocked');
  await queue.whenCondition('Ready', { status: 'False', reason: 'JobNotCreated' });
  await theOthersGoOn('taken');
  expect((await queue.getJob(name))?.metadata).toMatchObject({
    uid: theirs?.metadata.uid,
    generation: theirs?.metadata.generation,
  });
  expect((await queue.getJob(name))?.metadata.finalizers).toBeUndefined();

  await kubectl('delete', 'job', name, '-n', queue.namespace);
  const job = await queue.jobOf(id);
  await queue.succeed(job);
  await queue.whenQueueIsEmpty();
  await queue.whenCondition('Ready', { status: 'True' });
});

/** Runs a message of a sound BatchQueue beside the one in trouble, under the same operator. */
async function theOthersGoOn(caseName: string): Promise<void> {
  const other = await QueueCase.ready(stage, caseName, { name: 'sound' });
  await other.runOne('sound');
  expect(await operator.health('/healthz')).toBe(200);
}

async function listenOn(server: Server, address: string): Promise<number> {
  server.listen(0, address);
  await once(server, 'listening');
  const bound = server.address();
  if (bound === null || typeof bound !== 'object') throw new Error('not listening on a port');
  return bound.port;
}
