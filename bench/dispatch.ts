/**
 * `npm run bench -- dispatch`: from message to Job, against bare clients in the same run.
 *
 * One control plane of the project's own launcher, with its Job controller on; the SQS emulator, the operator and the
 * bare clients in processes of their own, all on this machine's cores. The benchmark sends messages, watches Jobs, and
 * marks them complete.
 */
import path from 'node:path';
import { parseArgs } from 'node:util';
import { measureBareCreates, measureBareReceives } from './engine/bare.ts';
import { type Burst, type BurstSizes, burstsOf, MAX_CONCURRENT_JOBS } from './engine/bursts.ts';
import { line, loadLine, medianBy, rounded, writeJson } from './engine/figures.ts';
import { JobWatch } from './engine/jobs.ts';
import { Operator } from './engine/operator.ts';
import { type Made, measureBatched, measureBurst, measureLone, type Run, whenTidy } from './engine/phases.ts';
import { Stage } from './engine/stage.ts';

const BATCH_SIZE = 100;

interface Size extends BurstSizes {
  readonly lone: number;
  readonly batched: number;
}

const FULL: Size = { lone: 500, bursts: [500, 2_000], lateBurst: 500, batched: 5_000, rounds: 3 };
/** For tests: everything once, in seconds, and no figure worth anything. */
const SHORT: Size = { lone: 5, bursts: [30], lateBurst: 20, batched: 300, rounds: 1 };

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
  const batchedQueues = Array.from({ length: size.rounds }, (_, round) => `batched-${round}`);
  await stage.createQueues(['lone', 'bare', ...batchedQueues, ...burstQueues]);
  await stage.createBatchQueues(['lone', ...burstQueues], {
    maxConcurrentJobs: MAX_CONCURRENT_JOBS,
  });
  await stage.createBatchQueues(batchedQueues, {
    suspend: true,
    maxConcurrentJobs: 100,
    queue: { batchSize: BATCH_SIZE },
  });
  const operator = await Operator.start(stage, profileDirectory === undefined);
  await stage.whenReady();
  const watch = await JobWatch.start(stage);
  const run: Run = { stage, watch, operator };
  const profiled: Profiled = (phase, work) =>
    profileDirectory === undefined
      ? work()
      : operator.profile(path.join(profileDirectory, `${phase}.cpuprofile`), work);

  const lone = await profiled('lone', () => measureLone(run, size.lone));
  const ours = await measureBursts(run, bursts, profiled);
  const batched = await measureBatches(run, { queues: batchedQueues, messages: size.batched }, profiled);
  await operator.kill();
  watch.setWork(undefined);
  const bareRates = await measureBareBursts(stage, ours);
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
    batched,
    requestsPerMessage: lone.requestsPerMessage,
  };
}

/** Has the operator's CPU profiled while `work` takes, if that was asked for. */
type Profiled = <T>(phase: string, work: () => Promise<T>) => Promise<T>;

/** Of each burst the round with the median rate. */
async function measureBursts(
  run: Run,
  bursts: readonly Burst[],
  profiled: Profiled,
): Promise<readonly (Burst & Made)[]> {
  const all: (Burst & Made)[] = [];
  for (const burst of bursts) {
    const made: Made[] = [];
    for (const round of burst.rounds)
      made.push(await profiled(round.name, () => measureBurst(run, burst, round)));
    all.push({ ...burst, ...medianBy(made, ({ perSecond }) => perSecond) });
  }
  return all;
}

/** By the number of messages: as many Jobs as in the burst, as the more there are, the more of their pods are made beside them. */
async function measureBareBursts(
  stage: Stage,
  bursts: readonly (Burst & Made)[],
): Promise<ReadonlyMap<number, number>> {
  const rates = new Map<number, number>();
  for (const { messages, sent } of bursts)
    if (!rates.has(messages)) rates.set(messages, await measureBareCreates(stage, sent));
  return rates;
}

/** The operator and the bare loop by turns, each once per queue: the medians. */
async function measureBatches(
  run: Run,
  { queues, messages }: { readonly queues: readonly string[]; readonly messages: number },
  profiled: Profiled,
) {
  const ours: number[] = [];
  const bare: number[] = [];
  for (const queue of queues) {
    ours.push(await profiled(queue, () => measureBatched(run, queue, messages)));
    await whenTidy(run.stage);
    bare.push(await measureBareReceives(run.stage, messages));
  }
  const messagesPerSecond = medianBy(ours, Number);
  const bareMessagesPerSecond = medianBy(bare, Number);
  return {
    batchSize: BATCH_SIZE,
    messagesPerSecond: rounded(messagesPerSecond),
    bareMessagesPerSecond: rounded(bareMessagesPerSecond),
    ratio: rounded(messagesPerSecond / bareMessagesPerSecond, 3),
  };
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
