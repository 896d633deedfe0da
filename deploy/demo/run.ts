import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { outputProblem } from './check-output.ts';
import type { Workplace } from './environment.ts';
import type { DemoMessage } from './messages.ts';

/** How long all messages together may take, in milliseconds. */
const DEADLINE_MS = 6 * 60_000;
const POLL_MS = 250;

/** The demo's two queues. */
export interface Queues {
  readonly orders: string;
  readonly deadLetters: string;
}

/** What became of the messages, read from the queues and the volume. */
export interface Tally {
  readonly messages: number;
  /** Messages whose result is on the volume and right, row by row. */
  readonly succeeded: number;
  readonly deadLettered: number;
  /** Messages that are nowhere: not done, not waiting, not dead-lettered. */
  readonly lost: number;
  /** What is wrong with the results, one line each. */
  readonly problems: readonly string[];
}

/** Writes the inputs to the volume and sends one message for each. */
export async function sendMessages(
  { emulator, volume }: Workplace,
  queues: Queues,
  messages: readonly DemoMessage[],
): Promise<void> {
  for (const { input, output, csv } of messages) {
    await writeFile(path.join(volume, input), csv);
    await emulator.send(queues.orders, JSON.stringify({ input, output }));
  }
}

/** Shows progress until the queue is empty; rejects when that takes too long. */
export async function untilDrained(
  workplace: Workplace,
  queues: Queues,
  show: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const startedAt = Date.now();
  for (;;) {
    const { visible, inFlight } = await workplace.emulator.counts(queues.orders);
    const dead = await workplace.emulator.counts(queues.deadLetters);
    const jobs = await jobCounts(workplace);
    const seconds = Math.round((Date.now() - startedAt) / 1000);
    show(
      `${String(seconds).padStart(3)} s   waiting ${visible} · held ${inFlight} · jobs: ${jobs.active} active, ` +
        `${jobs.succeeded} succeeded, ${jobs.failed} failed · dead-lettered ${dead.visible}`,
    );
    if (visible + inFlight === 0) return;
    if (Date.now() - startedAt > DEADLINE_MS) throw new Error('the queue was not drained in time');
    await sleep(POLL_MS, undefined, { signal });
  }
}

/** Compares every result on the volume with its input and counts what is left in the queues. */
export async function tally(
  { emulator, volume }: Workplace,
  queues: Queues,
  messages: readonly DemoMessage[],
): Promise<Tally> {
  const problems: string[] = [];
  let succeeded = 0;
  for (const { output, csv } of messages) {
    const result = await readFile(path.join(volume, output), 'utf8').catch(() => undefined);
    if (result === undefined) continue;
    const problem = outputProblem(csv, result);
    if (problem === undefined) succeeded += 1;
    else problems.push(`${output}: ${problem}`);
  }
  const left = await emulator.counts(queues.orders);
  const dead = await emulator.counts(queues.deadLetters);
  const waiting = left.visible + left.inFlight;
  return {
    messages: messages.length,
    succeeded,
    deadLettered: dead.visible,
    lost: messages.length - succeeded - dead.visible - waiting,
    problems,
  };
}

async function jobCounts({
  kubectl,
}: Workplace): Promise<{ active: number; succeeded: number; failed: number }> {
  const outcome = '{.status.active}{","}{.status.succeeded}{","}{.status.failed}{"\\n"}';
  const text = await kubectl.run(
    'get',
    'jobs',
    '-n',
    'default',
    '-o',
    `jsonpath={range .items[*]}${outcome}{end}`,
  );
  const rows = text
    .split('\n')
    .filter(Boolean)
    .map((line) => line.split(','));
  const count = (column: number) => rows.filter((row) => Number(row[column]) > 0).length;
  return { active: count(0), succeeded: count(1), failed: count(2) };
}
