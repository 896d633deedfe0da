import { readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { outputProblem } from '../../deploy/demo/check-output.ts';
import {
  applyTemplate,
  installOperator,
  makeVolume,
  startEmulator,
  type Workplace,
} from '../../deploy/demo/environment.ts';
import { BAD_INPUT, type DemoMessage, demoMessages, TUTORIAL_INPUT } from '../../deploy/demo/messages.ts';
import { type Queues, sendMessages, tally } from '../../deploy/demo/run.ts';
import { kubectlFor } from '../cluster/kubectl.ts';
import { waitFor } from '../cluster/wait.ts';
import { nodeCluster } from '../jest/clusters.ts';
import { operatorProcess } from '../support/operator-pod.ts';

const TIMEOUT_MS = 90_000;
jest.setTimeout(180_000);

let workplace: Workplace;
let queues: Queues;

/** A field of the BatchQueue by JSONPath. */
const field = (name: string) => workplace.kubectl.run('get', 'bq', 'orders', '-o', `jsonpath={${name}}`);

const queueIsEmpty = async () => {
  const { visible, inFlight } = await workplace.emulator.counts(queues.orders);
  return visible + inFlight === 0;
};

/** Renames the output, so that tests do not see each other's results. */
const into = (directory: string, messages: readonly DemoMessage[]): DemoMessage[] =>
  messages.map((message) => ({ ...message, output: `out/${directory}/${path.basename(message.output)}` }));

beforeAll(async () => {
  const { name, hostAddress } = nodeCluster();
  const emulator = await startEmulator(hostAddress);
  workplace = {
    kubectl: kubectlFor(nodeCluster()),
    emulator,
    volume: await makeVolume(`test-${name}`),
  };
  // Other tests on this node bring an operator of their own.
  await installOperator(workplace, 'default');
  const orders = await emulator.createQueue('orders', { deadLetter: 'orders-dead', maxReceiveCount: 3 });
  queues = { orders, deadLetters: orders.replace(/orders$/, 'orders-dead') };
  await applyTemplate(workplace, 'storage.yaml', { VOLUME_DIRECTORY: workplace.volume });
  await applyTemplate(workplace, 'orders.yaml', {
    QUEUE_URL: orders,
    WORKER_IMAGE: nodeCluster().workerImage,
  });
  await waitFor(async () => (await field('.status.conditions[?(@.type=="Ready")].status')) === 'True', {
    what: 'readiness of the BatchQueue',
    timeoutMs: TIMEOUT_MS,
  });
}, 180_000);

afterAll(async () => {
  await workplace.kubectl.run('delete', 'bq', '--all', '--wait=true', '--timeout=60s');
  await workplace.emulator.stop();
  await rm(workplace.volume, { recursive: true, force: true });
}, 120_000);

describe('a message on a real node', () => {
  test('becomes a processed CSV on the claim, and is deleted', async () => {
    const messages = into(
      'one',
      demoMessages().filter(({ input }) => input === TUTORIAL_INPUT),
    );
    await sendMessages(workplace, queues, messages);
    await waitFor(queueIsEmpty, { what: 'emptying of the queue', timeoutMs: TIMEOUT_MS });
    const { csv = '', output = '' } = messages[0] ?? {};
    expect(outputProblem(csv, await readFile(path.join(workplace.volume, output), 'utf8'))).toBeUndefined();
    await waitFor(async () => (await field('.status.lastSuccessTime')) !== '', {
      what: 'a success in status',
      timeoutMs: TIMEOUT_MS,
    });
  });

  test('that can never succeed is dead-lettered after one attempt, and status says which line is wrong', async () => {
    const messages = into(
      'bad',
      demoMessages().filter(({ input }) => input === BAD_INPUT),
    );
    await sendMessages(workplace, queues, messages);
    await waitFor(async () => (await workplace.emulator.counts(queues.deadLetters)).visible === 1, {
      what: 'a dead-lettered message',
      timeoutMs: TIMEOUT_MS,
    });
    await waitFor(async () => (await field('.status.lastFailure.exitCode')) === '65', {
      what: 'the failure in status',
      timeoutMs: TIMEOUT_MS,
    });
    expect(await field('.status.lastFailure.message')).toMatch(/^in\/bad-row\.csv, line 8, column 2/);
    const attempts = await workplace.kubectl.run(
      'get',
      'jobs',
      '-o',
      'jsonpath={range .items[?(@.status.failed)]}{.metadata.labels.batchqueue\\.io/attempt} {end}',
    );
    expect(attempts.trim().split(' ').toSorted()).toEqual(['1']);
  });

  test('survives the operator being killed again and again: every one is done, by one Job each', async () => {
    const messages = into(
      'killed',
      demoMessages().filter(({ csv, input }) => csv.length < 20_000 && input !== BAD_INPUT),
    );
    await sendMessages(workplace, queues, messages);
    for (let round = 0; round < 3; round += 1) {
      const id = await waitFor(() => operatorProcess(workplace.emulator.endpoint), {
        what: 'start of the operator',
        timeoutMs: TIMEOUT_MS,
      });
      // Some claims are in every state by now: waiting, running, finished and not settled.
      await waitFor(async () => (await doneIn(messages)) > round * 3, {
        what: 'progress',
        timeoutMs: TIMEOUT_MS,
      });
      process.kill(id, 'SIGKILL');
      await waitFor(async () => (await operatorProcess(workplace.emulator.endpoint)) !== id, {
        what: 'end of the operator',
        timeoutMs: TIMEOUT_MS,
      });
    }
    await waitFor(queueIsEmpty, { what: 'emptying of the queue', timeoutMs: TIMEOUT_MS });
    const result = await tally(workplace, queues, messages);
    expect(result.problems).toEqual([]);
    expect(result.succeeded).toBe(messages.length);
    await waitFor(async () => (await jobsOwing()) === '', {
      what: 'settlement of all Jobs',
      timeoutMs: TIMEOUT_MS,
    });
    const ids = (await workplace.kubectl.run('get', 'jobs', '-o', jobMessageIds)).trim().split('\n');
    expect(new Set(ids).size).toBe(ids.length);
  });
});

/** How many of these have a result on the volume. */
async function doneIn(messages: readonly DemoMessage[]): Promise<number> {
  const found = await Promise.all(
    messages.map(({ output }) =>
      readFile(path.join(workplace.volume, output))
        .then(() => 1)
        .catch(() => 0),
    ),
  );
  return found.reduce<number>((sum, one) => sum + one, 0);
}

/** Message ids of the Jobs that succeeded, one per line. */
const jobMessageIds =
  'jsonpath={range .items[?(@.status.succeeded)]}{.metadata.labels.batchqueue\\.io/message-id}{"\\n"}{end}';

/** Names of Jobs that still owe a settlement. */
function jobsOwing(): Promise<string> {
  return workplace.kubectl.run(
    'get',
    'jobs',
    '-o',
    'jsonpath={.items[?(@.metadata.finalizers)].metadata.name}',
  );
}
