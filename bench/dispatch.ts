/**
 * `npm run bench -- dispatch`: from message to Job, against bare clients in the same run.
 *
 * One control plane of the project's own launcher, with its Job controller on; the SQS emulator, the operator and the
 * bare clients in processes of their own, all on this machine's cores. The benchmark sends messages, watches Jobs, and
 * marks them complete.
 */
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { JOBS, PODS } from '../operator/world.ts';
import { measureBareCreates, measureBareReceives } from './engine/bare.ts';
import { type Burst, type BurstSizes, burstsOf, MAX_CONCURRENT_JOBS, type Round } from './engine/bursts.ts';
import { line, loadLine, percentile, rounded, writeJson } from './engine/figures.ts';
import { JobWatch, type Work } from './engine/jobs.ts';
import { Operator, type SentJob } from './engine/operator.ts';
import { Stage } from './engine/stage.ts';
import { until } from './engine/wait.ts';

/** A lone Job runs this long. */
const LONE_WORK: Work = { kind: 'time', ms: 200 };
/** What is compared is handling messages, so batches take no time. */
const NO_WORK: Work = { kind: 'time', ms: 0 };
/** Lone messages come this long after the Job of the one before, at most: as likely at any moment of a poll. */
const LONE_PAUSE_MS = 100;
const BATCH_SIZE = 100;
const PHASE_TIMEOUT_MS = 600_000;
/** Finished Jobs that history limits keep: three of each BatchQueue. */
const KEPT_AT_MOST = 60;

interface Size extends BurstSizes {
  readonly lone: number;
  readonly batched: number;
}

const FULL: Size = { lone: 500, bursts: [500, 2_000], lateBurst: 500, batched: 5_000, rounds: 3 };
/** For tests: everything once, in seconds, and no figure worth anything. */
const SHORT: Size = { lone: 5, bursts: [30], lateBurst: 20, batched: 300, rounds: 1 };

/** What has come of a round. */
interface Made {
  /** As they were sent. */
  readonly sent: readonly SentJob[];
  readonly jobs: number;
  readonly perSecond: number;
}

interface Run {
  readonly stage: Stage;
  readonly watch: JobWatch;
  readonly operator: Operator;
}

/** Runs all of it; prints a table, writes JSON if asked to. Throws when a message got no Job, or more than one. */
export async function benchDispatch(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      json: { type: 'string' },
      short: { type: 'boolean', default: false },
      lone: { type: 'string' },
      bursts: { type: 'string' },
      'late-burst': { type: 'string' },
      batched: { type: 'string' },
      rounds: { type: 'string' },
      /** A directory for a CPU profile of the operator in every phase; figures are worth less then. */
      profile: { type: 'string' },
    },
  });
  await Stage.use(async (stage) => {
    const figures = await measure(stage, sizeOf(values), values.profile);
    print(figures);
    await writeJson(values.json, figures);
  });
}

interface Wanted {
  readonly short: boolean;
  readonly lone?: string;
  readonly bursts?: string;
  readonly 'late-burst'?: string;
  readonly batched?: string;
  readonly rounds?: string;
}

function sizeOf({ short, lone, bursts, 'late-burst': lateBurst, batched, rounds }: Wanted): Size {
  const standard = short ? SHORT : FULL;
  return {
    lone: Number(lone ?? standard.lone),
    bursts: bursts === undefined ? standard.bursts : bursts.split(',').map(Number),
    lateBurst: Number(lateBurst ?? standard.lateBurst),
    batched: Number(batched ?? standard.batched),
    rounds: Number(rounds ?? standard.rounds),
  };
}

type Figures = Awaited<ReturnType<typeof measure>>;

async function measure(stage: Stage, size: Size, profileDirectory: string | undefined) {
  const bursts = burstsOf(size);
  const burstQueues = bursts.flatMap(({ rounds }) => rounds.flatMap(({ queues }) => queues));
  await stage.createQueues(['lone', 'batched', 'bare', ...burstQueues]);
  await stage.createBatchQueues(['lone', ...burstQueues], {
    maxConcurrentJobs: MAX_CONCURRENT_JOBS,
  });
  await stage.createBatchQueues(['batched'], {
    suspend: true,
    maxConcurrentJobs: 100,
    queue: { batchSize: BATCH_SIZE },
  });
  const operator = await Operator.start(stage, profileDirectory === undefined);
  await stage.whenReady();
  const watch = await JobWatch.start(stage);
  const run: Run = { stage, watch, operator };
  const profiled = <T>(phase: string, work: () => Promise<T>): Promise<T> =>
    profileDirectory === undefined
      ? work()
      : operator.profile(path.join(profileDirectory, `${phase}.cpuprofile`), work);

  const lone = await profiled('lone', () => measureLone(run, size.lone));
  const ours: (Burst & Made)[] = [];
  for (const burst of bursts) {
    const made: Made[] = [];
    for (const round of burst.rounds) made.push(await profiled(round.name, () => measureBurst(run, round)));
    ours.push({ ...burst, ...medianOf(made) });
  }
  const messagesPerSecond = await profiled('batched', () => measureBatched(run, size.batched));
  await operator.kill();

  watch.setWork(undefined);
  // As many Jobs as in the burst: the more there are, the more of their pods are made beside them.
  const bareRates = new Map<number, number>();
  for (const { messages, sent } of ours)
    if (!bareRates.has(messages)) bareRates.set(messages, await measureBareCreates(stage, sent));
  const bareMessagesPerSecond = await measureBareReceives(stage, size.batched);
  watch.stop();

  return {
    lone: lone.latency,
    bursts: ours.map(({ messages, jobs, perSecond, countsLateSeconds }) => {
      const bareJobsPerSecond = bareRates.get(messages) ?? Number.NaN;
      return {
        messages,
        jobs,
        jobsPerSecond: rounded(perSecond),
        bareJobsPerSecond: rounded(bareJobsPerSecond),
        ratio: rounded(perSecond / bareJobsPerSecond, 3),
        countsLateSeconds,
      };
    }),
    batched: {
      batchSize: BATCH_SIZE,
      messagesPerSecond: rounded(messagesPerSecond),
      bareMessagesPerSecond: rounded(bareMessagesPerSecond),
      ratio: rounded(messagesPerSecond / bareMessagesPerSecond, 3),
    },
    requestsPerMessage: lone.requestsPerMessage,
  };
}

function medianOf(made: readonly Made[]): Made {
  const median = made.toSorted((a, b) => a.perSecond - b.perSecond)[Math.floor(made.length / 2)];
  if (!median) throw new Error('a burst needs at least one round');
  return median;
}

/** One message at a time to a queue at rest, and the whole life of each: what it takes to be seen, and what it costs. */
async function measureLone({ stage, watch, operator }: Run, count: number) {
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
async function measureBurst({ stage, watch, operator }: Run, round: Round): Promise<Made> {
  const { queues, share, messages, countsLateSeconds } = round;
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
async function measureBatched({ stage, watch }: Run, messages: number): Promise<number> {
  watch.setWork(NO_WORK);
  await whenTidy(stage);
  await stage.sendMany('batched', messages);
  const startedAtMs = performance.now();
  await stage.letGo('batched');
  await whenSettled(stage, 'batched', messages);
  return (messages / (performance.now() - startedAtMs)) * 1_000;
}

/** All messages have been deleted. */
async function whenSettled(stage: Stage, queue: string, messages: number): Promise<void> {
  await until(`${messages} messages to be settled`, PHASE_TIMEOUT_MS, async () => {
    return ((await stage.sqsRequests(queue))['deleted'] ?? 0) >= messages;
  });
}

/** The Jobs and pods of the phase before are gone, but for what the history limits keep: the bare client has none either. */
async function whenTidy({ client, namespace }: Stage): Promise<void> {
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

function print({ lone, bursts, batched, requestsPerMessage }: Figures): void {
  loadLine();
  const { count, p50Ms, p95Ms, p99Ms } = lone;
  line(`${count} lone messages, p50`, `${p50Ms} ms`, { text: '<= 50 ms', met: p50Ms <= 50 });
  line('  p95', `${p95Ms} ms`);
  line('  p99', `${p99Ms} ms`, { text: '<= 250 ms', met: p99Ms <= 250 });
  for (const { messages, jobs, jobsPerSecond, bareJobsPerSecond, ratio, countsLateSeconds } of bursts) {
    const late = countsLateSeconds > 0 ? `, counts ${countsLateSeconds} s late` : '';
    line(`burst of ${messages}${late}`, `${jobsPerSecond} Jobs/s, bare ${bareJobsPerSecond}: ${ratio}`, {
      text: '>= 0.5',
      met: ratio >= 0.5,
    });
    line('  Jobs per message', String(jobs / messages), { text: '= 1', met: jobs === messages });
  }
  const { batchSize, messagesPerSecond, bareMessagesPerSecond, ratio } = batched;
  line(
    `batches of ${batchSize}`,
    `${messagesPerSecond} messages/s, bare ${bareMessagesPerSecond}: ${ratio}`,
    {
      text: '>= 0.5',
      met: ratio >= 0.5,
    },
  );
  const { sqs, kubernetes } = requestsPerMessage;
  line('requests per lone message', `${sqs} SQS, ${kubernetes} Kubernetes`);
}
