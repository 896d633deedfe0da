import { setTimeout as delay } from 'node:timers/promises';
import { type Call, CallSequence, type CrashPoint } from '../faults/call-sequence.ts';
import { KubernetesProxy } from '../faults/kubernetes-proxy.ts';
import { SqsProxy } from '../faults/sqs-proxy.ts';
import { eventually } from '../support/eventually.ts';
import type { ElectionSettings, OperatorProcess } from '../support/operator-process.ts';
import type { OperatorStage } from '../support/operator-stage.ts';
import { QueueCase } from '../support/queue-case.ts';
import type { ClusterHistory } from './cluster-history.ts';
import { ForgottenLeases } from './forgotten-leases.ts';
import type { Script, ScriptedMessage } from './script.ts';
import { ScriptPlayer } from './script-player.ts';
import { type Evidence, unfinished, wrongs } from './verdict.ts';

/** Many times what a case takes, for machines that have much else to do; in milliseconds. */
const SETTLED_WITHIN_MS = 180_000;
/** What is told or recorded late may come this long after everything is done, in milliseconds. */
const LATE_MS = 2_000;
/** How many messages may be received before SQS gives up on one: more than any crash costs. */
const MAX_RECEIVE_COUNT = 10;
const POLL_SLICE_SECONDS = 1;
/** How much of what the operators wrote is quoted, in lines. */
const QUOTED_LINES = 30;

/** What all cases share. */
export interface CrashStage {
  readonly stage: OperatorStage;
  readonly history: ClusterHistory;
  /** The operator's program, bundled. */
  readonly program: string;
}

export interface CaseReport {
  /** What the first operator asked of the two servers. */
  readonly calls: readonly Call[];
  /** The process was ended at the crash point. */
  readonly wasReached: boolean;
  /** Everything that must not be; empty: it holds. */
  readonly problems: readonly string[];
}

/**
 * Plays a script once: an operator starts with everything waiting for it, is ended at the crash point, and another one
 * brings it to its end. Without a crash point one operator does it all. Never rejects for what the operators did.
 */
export async function playCase(
  { stage, history, program }: CrashStage,
  name: string,
  script: Script,
  point?: CrashPoint,
): Promise<CaseReport> {
  await stage.addCase(name);
  const queue = new QueueCase(stage, name, {
    maxReceiveCount: MAX_RECEIVE_COUNT,
    ...(script.isFifo && { fifo: true }),
    ...(script.queue && { queue: script.queue }),
    spec: specOf(script),
  });
  await queue.createQueue();
  const messages = new Map<string, ScriptedMessage>();
  for (const message of script.messages) {
    const { body, group } = message;
    messages.set(await (group === undefined ? queue.send(body) : queue.sendTo(group, body)), message);
  }
  await queue.create();
  const past = history.of(queue.namespace);
  const player = new ScriptPlayer({ client: stage.client, history: past, script, messages });
  const election = script.isElected ? await stage.prepareElection(name) : undefined;
  const play = { stage, name, program, script, queue, messages, past, player, election };
  try {
    return await run(play, point);
  } finally {
    player.stop();
  }
}

function specOf({
  spec,
  successfulJobsHistoryLimit = 3,
  failedJobsHistoryLimit = 5,
}: Script): Readonly<Record<string, unknown>> {
  return { ...spec, successfulJobsHistoryLimit, failedJobsHistoryLimit };
}

interface Play extends Evidence {
  readonly stage: OperatorStage;
  readonly name: string;
  readonly program: string;
  /** Undefined: each operator acts at once. */
  readonly election: ElectionSettings | undefined;
}

async function run(play: Play, point: CrashPoint | undefined): Promise<CaseReport> {
  const sequence = new CallSequence(point);
  const first = await startLife(play, sequence);
  const lives = [first];
  try {
    let problems = await untilDone(async () => (sequence.hasStruck() ? [] : await unfinished(play)));
    // Events and statuses come late.
    if (point && problems.length === 0) await Promise.race([sequence.struck(), delay(LATE_MS)]);
    if (sequence.hasStruck()) {
      await first.operator.exitCode();
      const leases = new ForgottenLeases(play.queue, play.past, first.sqs);
      lives.push(await startLife(play));
      problems = await untilDone(async () => {
        await leases.lapse();
        return unfinished(play);
      });
    }
    if (problems.length === 0)
      problems = await wrongs(
        play,
        lives.map(({ sqs }) => sqs),
      );
    const told = problems.length === 0 ? problems : [...problems, ...lives.map(quote)];
    return { calls: sequence.calls(), wasReached: sequence.hasStruck(), problems: told };
  } finally {
    await Promise.all(lives.map((life) => life.end()));
  }
}

/** One operator process and the proxies it goes through. */
interface Life {
  readonly operator: OperatorProcess;
  readonly sqs: SqsProxy;
  end(): Promise<void>;
}

async function startLife({ stage, name, program, election }: Play, tollgate?: CallSequence): Promise<Life> {
  const gate = tollgate ? { tollgate } : {};
  const kubernetes = tollgate && (await KubernetesProxy.start(stage.operatorKubeconfigPath(), gate));
  const sqs = await SqsProxy.start(stage.emulator.endpoint, {
    ...gate,
    pollSliceSeconds: POLL_SLICE_SECONDS,
  });
  const operator = await stage.launchOperator({
    cases: [name],
    sqs,
    program,
    ...(election && { election }),
    ...(kubernetes && { through: kubernetes }),
  });
  tollgate?.killWith(() => void operator.kill());
  const end = async (): Promise<void> => {
    await operator.kill();
    await Promise.all([sqs.stop(), kubernetes?.stop()]);
  };
  return { operator, sqs, end };
}

/** Waits until nothing is left; returns what did not come to its end. */
async function untilDone(left: () => Promise<readonly string[]>): Promise<readonly string[]> {
  const wait = { what: 'the end of everything', timeoutMs: SETTLED_WITHIN_MS };
  try {
    await eventually(left, ({ length }) => length === 0, wait);
    return [];
  } catch (error) {
    return [error instanceof Error ? error.message : String(error)];
  }
}

function quote({ operator }: Life, index: number): string {
  const lines = operator.output().trimEnd().split('\n').slice(-QUOTED_LINES);
  return `operator ${index + 1} wrote:\n${lines.join('\n')}`;
}
