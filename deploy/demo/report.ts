import { readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { EMULATOR_CREDENTIALS, EMULATOR_REGION } from '../../test/support/sqs-emulator.ts';
import type { Environment } from './environment.ts';
import type { DemoMessage } from './messages.ts';
import { TUTORIAL_INPUT } from './messages.ts';
import type { Queues, Tally } from './run.ts';

/** What a user looks at afterwards: the queue, its Jobs, the results, and the message that failed. */
export async function printReport(environment: Environment, messages: readonly DemoMessage[]): Promise<void> {
  const { kubectl, volume } = environment;
  section('kubectl get batchqueues', await kubectl.run('get', 'batchqueues'));
  section(
    'kubectl get jobs -L batchqueue.io/revision,batchqueue.io/attempt',
    await kubectl.run('get', 'jobs', '-L', 'batchqueue.io/revision,batchqueue.io/attempt'),
  );
  section(`results on the volume (${volume})`, await listResults(volume));
  const tutorial = messages.find(({ input }) => input === TUTORIAL_INPUT)?.output ?? '';
  section(tutorial, await readFile(path.join(volume, tutorial), 'utf8').catch(() => 'missing\n'));
  section('the message that could not be processed', await failureText(environment));
}

/** The closing line; its figures are read from the queues and the volume. */
export function tallyLine({ messages, succeeded, deadLettered, lost }: Tally): string {
  return `demo: ${messages} messages, ${succeeded} succeeded, ${deadLettered} dead-lettered, ${lost} lost`;
}

/** How to go on by hand while the demo stays up. */
export function printNextSteps({ cluster, emulator }: Environment, queues: Queues): void {
  const { accessKeyId, secretAccessKey } = EMULATOR_CREDENTIALS;
  section(
    'go on by hand, in another terminal',
    [
      `export KUBECONFIG=${cluster.kubeconfigPath}`,
      `export PATH=${path.dirname(cluster.kubectlPath)}:$PATH`,
      `export AWS_ACCESS_KEY_ID=${accessKeyId} AWS_SECRET_ACCESS_KEY=${secretAccessKey} AWS_DEFAULT_REGION=${EMULATOR_REGION}`,
      `export AWS_ENDPOINT_URL=${emulator.endpoint}`,
      `export QUEUE_URL=${queues.orders}`,
      '',
      'kubectl get batchqueues --watch',
      `aws --endpoint-url $AWS_ENDPOINT_URL sqs send-message --queue-url $QUEUE_URL --message-body '{"input":"${TUTORIAL_INPUT}","output":"out/again.csv"}'`,
      'kubectl describe batchqueue orders',
      'kubectl logs -l batchqueue.io/queue=orders --tail=3',
      '',
    ].join('\n'),
  );
}

/** What a maintainer wants to see when the demo did not come out right; whatever of it can be had. */
export async function diagnosis({ kubectl }: Environment): Promise<string> {
  const questions = [
    ['describe', 'batchqueues'],
    ['get', 'jobs,pods', '-A', '-o', 'wide'],
    ['logs', '-n', 'batchqueue-system', 'deployment/batchqueue-operator', '--tail=40'],
  ];
  const answers = await Promise.all(questions.map((question) => kubectl.run(...question).catch(String)));
  return answers.map((answer, index) => `\n── kubectl ${questions[index]?.join(' ')}\n${answer}`).join('');
}

async function listResults(volume: string): Promise<string> {
  const directory = path.join(volume, 'out');
  const names = (await readdir(directory)).toSorted();
  const sizes = await Promise.all(names.map(async (name) => (await stat(path.join(directory, name))).size));
  return names.map((name, index) => `${String(sizes[index]).padStart(10)}  out/${name}\n`).join('');
}

/** Where the bad message is, and why, as the BatchQueue itself says. */
async function failureText({ kubectl }: Environment): Promise<string> {
  const field = async (name: string) =>
    kubectl.run('get', 'batchqueue', 'orders', '-o', `jsonpath={.status.${name}}`);
  return [
    `message:  ${await field('lastFailure.messageIds[0]')}`,
    `is in:    ${await field('queue.deadLetterArn')} (a copy; its worker says that it can never succeed)`,
    `because:  ${await field('lastFailure.reason')}, exit code ${await field('lastFailure.exitCode')}`,
    `          ${await field('lastFailure.message')}`,
    '',
  ].join('\n');
}

function section(title: string, text: string): void {
  process.stdout.write(`\n── ${title}\n${text}`);
}
