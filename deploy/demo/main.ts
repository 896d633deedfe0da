import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { WORKER_IMAGE } from '../../test/cluster/product-images.ts';
import { waitFor } from '../../test/cluster/wait.ts';
import { applyTemplate, type Environment, installOperator, startEnvironment } from './environment.ts';
import { demoMessages } from './messages.ts';
import { ProgressLine } from './progress-line.ts';
import { diagnosis, printNextSteps, printReport, tallyLine } from './report.ts';
import { type Queues, sendMessages, type Tally, tally, untilDrained } from './run.ts';

/**
 * The main job from an empty machine: a Kubernetes node, the operator in it, a queue with twenty messages, and what came
 * of them. Stays until Ctrl-C, or with `--once` ends by itself and says with its exit code whether all was right.
 */

const STATUS_TIMEOUT_MS = 60_000;
const EX_USAGE = 64;
const EX_UNAVAILABLE = 69;
const EX_SOFTWARE = 70;
const EX_INTERRUPTED = 130;
const USAGE =
  'npm run demo [-- --once]\n\n  --once   end by itself; exit code 0 only if every message came out right\n';

async function main(): Promise<number> {
  const options = readOptions();
  if (!options) {
    process.stderr.write(USAGE);
    return EX_USAGE;
  }
  const interrupt = new AbortController();
  process.once('SIGINT', () => interrupt.abort());
  process.once('SIGTERM', () => interrupt.abort());
  let environment: Environment;
  try {
    environment = await startEnvironment(say, interrupt.signal);
  } catch (error) {
    if (interrupt.signal.aborted) return EX_INTERRUPTED;
    say(error instanceof Error ? error.message : String(error));
    return EX_UNAVAILABLE;
  }
  try {
    return await demonstrate(environment, options.once, interrupt.signal);
  } catch (error) {
    if (interrupt.signal.aborted) return EX_INTERRUPTED;
    say(error instanceof Error ? error.message : String(error));
    process.stdout.write(await diagnosis(environment));
    return EX_SOFTWARE;
  } finally {
    say('removing the cluster');
    await environment.stop();
  }
}

async function demonstrate(environment: Environment, once_: boolean, signal: AbortSignal): Promise<number> {
  const queues = await prepare(environment);
  const messages = demoMessages();
  say(`sending ${messages.length} messages`);
  await sendMessages(environment, queues, messages);
  const progress = new ProgressLine();
  await untilDrained(environment, queues, progress.show, signal);
  progress.end();
  await settledStatus(environment);
  await printReport(environment, messages);
  const result = await tally(environment, queues, messages);
  for (const problem of result.problems) process.stdout.write(`${problem}\n`);
  process.stdout.write(`\n${tallyLine(result)}\n`);
  if (!once_) {
    printNextSteps(environment, queues);
    say('the cluster stays until Ctrl-C');
    await Promise.race([aborted(signal), environment.cluster.gone]);
  }
  return cameOutRight(result) ? 0 : 1;
}

async function prepare(environment: Environment): Promise<Queues> {
  const { emulator, volume } = environment;
  say('installing the CRD and the operator');
  await installOperator(environment);
  const orders = await emulator.createQueue('orders', {
    deadLetter: 'orders-dead-letters',
    maxReceiveCount: 3,
  });
  const queues = { orders, deadLetters: orders.replace(/orders$/, 'orders-dead-letters') };
  say('applying efs-claim, ecr-sa and the BatchQueue orders');
  await applyTemplate(environment, 'storage.yaml', { VOLUME_DIRECTORY: volume });
  await applyTemplate(environment, 'orders.yaml', { QUEUE_URL: orders, WORKER_IMAGE: WORKER_IMAGE.name });
  await conditionOf(environment, 'Ready');
  return queues;
}

/** Status is at most seconds behind the queues; wait for it, so that what is printed is what is. */
async function settledStatus(environment: Environment): Promise<void> {
  await conditionOf(environment, 'Drained');
  await waitFor(
    async () =>
      (await environment.kubectl.run('get', 'bq', 'orders', '-o', 'jsonpath={.status.queue.deadLetter}')) ===
      '1',
    { what: 'a dead-lettered message in status', timeoutMs: STATUS_TIMEOUT_MS },
  );
}

/** Waits until a condition of the BatchQueue is True. */
async function conditionOf({ kubectl }: Environment, type: string): Promise<void> {
  const path = `jsonpath={.status.conditions[?(@.type=="${type}")].status}`;
  await waitFor(async () => (await kubectl.run('get', 'bq', 'orders', '-o', path)) === 'True', {
    what: `condition ${type} of the BatchQueue`,
    timeoutMs: STATUS_TIMEOUT_MS,
  });
}

function cameOutRight({ messages, succeeded, deadLettered, lost, problems }: Tally): boolean {
  return succeeded === messages - 1 && deadLettered === 1 && lost === 0 && problems.length === 0;
}

function readOptions(): { once: boolean } | undefined {
  try {
    const { values } = parseArgs({ options: { once: { type: 'boolean', default: false } } });
    return { once: values.once };
  } catch {
    return undefined;
  }
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, 'abort');
}

const startedAt = Date.now();

function say(line: string): void {
  process.stderr.write(`[${((Date.now() - startedAt) / 1000).toFixed(1).padStart(5)} s] ${line}\n`);
}

process.exitCode = await main();
