/** What the operator is measured at: the phases of `npm run bench -- dispatch`. */
import { setTimeout as sleep } from 'node:timers/promises';
import { JOBS, PODS } from '../../operator/world.ts';
import type { Burst, Round } from './bursts.ts';
import { percentile, rounded } from './figures.ts';
import type { JobWatch, Work } from './jobs.ts';
import type { Operator, SentJob } from './operator.ts';
import type { Stage } from './stage.ts';
import { until } from './wait.ts';

/** A lone Job runs this long. */
const LONE_WORK: Work = { kind: 'time', ms: 200 };
/** What is compared is handling messages, so batches take no time. */
const NO_WORK: Work = { kind: 'time', ms: 0 };
/** Lone messages come this long after the Job of the one before, at most: as likely at any moment of a poll. */
const LONE_PAUSE_MS = 100;
const PHASE_TIMEOUT_MS = 600_000;
/** Finished Jobs that history limits keep: three of each BatchQueue. */
const KEPT_AT_MOST = 60;

/** What has come of a round. */
export interface Made {
  /** As they were sent. */
  readonly sent: readonly SentJob[];
  readonly jobs: number;
  readonly perSecond: number;
}

export interface Run {
  readonly stage: Stage;
  readonly watch: JobWatch;
  readonly operator: Operator;
}

/** One message at a time to a queue at rest, and the whole life of each: what it takes to be seen, and what it costs. */
export async function measureLone({ stage, watch, operator }: Run, count: number) {
  watch.setWork(LONE_WORK);
  const before = { sqs: await stage.sqsRequests('lone'), kubernetes: await operator.requests() };
  const latenciesMs: number[] = [];
  for (let sent = 0; sent < count; sent += 1) {
    await sleep(Math.random() * LONE_PAUSE_MS);
    const sentAtMs = performance.now();
    const job = await watch.jobOf(await stage.send('lone', `{"input":"in/${sent}.csv"}`));
    latenciesMs.push(job.seenAtMs - sentAtMs);
  }
  await whenSettled(stage, 'lone', count);
  const after = { sqs: await stage.sqsRequests('lone'), kubernetes: await operator.requests() };
  assertOneJobEach(watch, 'lone', count);
  return {
    latency: {
      count,
      p50Ms: rounded(percentile(latenciesMs, 0.5)),
      p95Ms: rounded(percentile(latenciesMs, 0.95)),
      p99Ms: rounded(percentile(latenciesMs, 0.99)),
    },
    requestsPerMessage: {
      sqs: rounded(requestsBetween(before.sqs, after.sqs, isOurSqsRequest) / count, 2),
      kubernetes: rounded(requestsBetween(before.kubernetes, after.kubernetes, isCall) / count, 2),
    },
  };
}

/** From the first send to the last Job, whose creation counts when it is answered, as the bare client's. Jobs end afterwards. */
export async function measureBurst(
  { stage, watch, operator }: Run,
  burst: Burst,
  { queues }: Round,
): Promise<Made> {
  const { messages, countsLateSeconds } = burst;
  const share = messages / queues.length;
  const jobsSeen = () => queues.flatMap((queue) => watch.jobsOf(queue));
  watch.setWork(undefined);
  await whenTidy(stage);
  await stage.makeCountsLate(countsLateSeconds * 1_000);
  await operator.takeJobs();
  const startedAtMs = Date.now();
  await Promise.all(queues.map((queue) => stage.sendMany(queue, share)));
  await until(`${messages} Jobs`, PHASE_TIMEOUT_MS, () => Promise.resolve(jobsSeen().length >= messages));
  watch.setWork({ kind: 'room', jobs: 0 });
  await Promise.all(queues.map((queue) => whenSettled(stage, queue, share)));
  await stage.makeCountsLate(0);
  for (const queue of queues) assertOneJobEach(watch, queue, share);
  const sent = await operator.takeJobs();
  const tookMs = lastCreation(sent) - startedAtMs;
  return { sent, jobs: jobsSeen().length, perSecond: (messages / tookMs) * 1_000 };
}

/** When it was answered, epoch ms. Throws when one was not: the operator had to look for that Job. */
function lastCreation(sent: readonly SentJob[]): number {
  const answeredMs = sent.map(({ createdAtMs }) => createdAtMs ?? Number.NaN);
  const lastMs = Math.max(...answeredMs);
  if (Number.isNaN(lastMs)) throw new Error('the API server did not answer the create of a Job');
  return lastMs;
}

/**
 * From when intake is let go to the last message deleted, in Jobs of a hundred that end as soon as they have started.
 * The messages are in the queue already, as they are for the bare loop.
 */
export async function measureBatched(
  { stage, watch }: Run,
  queue: string,
  messages: number,
): Promise<number> {
  watch.setWork(NO_WORK);
  await whenTidy(stage);
  await stage.sendMany(queue, messages);
  const startedAtMs = performance.now();
  await stage.letGo(queue);
  await whenSettled(stage, queue, messages);
  return (messages / (performance.now() - startedAtMs)) * 1_000;
}

/** All messages have been deleted. */
async function whenSettled(stage: Stage, queue: string, messages: number): Promise<void> {
  await until(`${messages} messages to be settled`, PHASE_TIMEOUT_MS, async () => {
    return ((await stage.sqsRequests(queue))['deleted'] ?? 0) >= messages;
  });
}

/** The Jobs and pods of the phase before are gone, but for what the history limits keep: the bare client has none either. */
export async function whenTidy({ client, namespace }: Stage): Promise<void> {
  await until('the Jobs of earlier phases to be gone', PHASE_TIMEOUT_MS, async () => {
    const jobs = await client.list(JOBS, { namespace, limit: KEPT_AT_MOST + 1 });
    const pods = await client.list(PODS, { namespace, limit: KEPT_AT_MOST + 1 });
    return Math.max(jobs.items.length, pods.items.length) <= KEPT_AT_MOST;
  });
}

function assertOneJobEach(watch: JobWatch, queue: string, messages: number): void {
  const ids = watch.jobsOf(queue).map(({ messageId }) => messageId);
  if (ids.length !== messages || new Set(ids).size !== messages)
    throw new Error(`${queue}: ${ids.length} Jobs of ${new Set(ids).size} messages, ${messages} were sent`);
}

type Counts = Readonly<Record<string, number>>;

function requestsBetween(before: Counts, after: Counts, counts: (kind: string) => boolean): number {
  const kinds = Object.keys(after).filter(counts);
  return kinds.reduce((sum, kind) => sum + (after[kind] ?? 0) - (before[kind] ?? 0), 0);
}

function isOurSqsRequest(operation: string): boolean {
  return operation !== 'deleted' && !operation.startsWith('Send');
}

function isCall(kind: string): boolean {
  return !kind.startsWith('WATCH');
}
