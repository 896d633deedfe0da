import { writeFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { startCluster } from '../test/cluster/cluster.ts';
import { handOver } from '../test/jest/clusters.ts';
import { eventually } from '../test/support/eventually.ts';
import type { ElectionSettings, OperatorProcess } from '../test/support/operator-process.ts';
import { OperatorStage } from '../test/support/operator-stage.ts';
import { QueueCase } from '../test/support/queue-case.ts';
import { median } from './run.ts';

/** How often a message comes from the moment of the signal on, in milliseconds; none of their Jobs ends. */
const SEND_EVERY_MS = { SIGTERM: 20, SIGKILL: 200 } as const;
const MAX_JOBS = 1_000;
const CASE = 'failover';
const TIMEOUT_MS = 60_000;

const leadingSchema = z.object({ time: z.string(), msg: z.literal('leading') });
const createdSchema = z.object({
  time: z.string(),
  msg: z.literal('job created'),
  messageIds: z.array(z.string()),
});

/** Milliseconds after the signal. */
interface Takeover {
  readonly leadsAfterMs: number;
  /** The new leader's first Job of a message that was sent after the signal: the API server has answered its create. */
  readonly actsAfterMs: number;
}

/**
 * How long nobody takes over: from SIGTERM, and from SIGKILL, of the leader until the other of two replicas has created its
 * first Job, of a message that was sent after the signal. Both run with the default settings, as processes of their own
 * under the shipped ServiceAccount, each against the same real API server; messages come all the time. What the old
 * leader still makes of its last polls does not count. The JSON has the worst of all rounds.
 */
export async function benchFailover(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: { json: { type: 'string' }, rounds: { type: 'string', default: '5' } },
  });
  const cluster = await startCluster({ size: 'control-plane' });
  handOver('BATCHQUEUE_INTEGRATION_CLUSTER', {
    name: cluster.name,
    kubeconfigPath: cluster.kubeconfigPath,
    kubectlPath: cluster.kubectlPath,
  });
  const stage = await OperatorStage.set([CASE]);
  try {
    const results = await measureAll(stage, Number(values.rounds));
    if (values.json !== undefined) await writeFile(values.json, `${JSON.stringify(results)}\n`);
  } finally {
    await stage.clear();
    await cluster.stop();
  }
}

async function measureAll(
  stage: OperatorStage,
  rounds: number,
): Promise<{ handOverMs: number; crashMs: number }> {
  const election = await stage.prepareElection(CASE);
  let leader = await start(stage, election);
  const queue = await QueueCase.ready(stage, CASE, { spec: { maxConcurrentJobs: MAX_JOBS } });
  const worst = { handOverMs: 0, crashMs: 0 };
  for (const [name, signal] of [
    ['handOverMs', 'SIGTERM'],
    ['crashMs', 'SIGKILL'],
  ] as const) {
    const taken: Takeover[] = [];
    for (let round = 0; round < rounds; round += 1) {
      const standby = await start(stage, election);
      taken.push(await takeover(queue, { leader, standby, signal }));
      leader = standby;
    }
    const acts = taken.map(({ actsAfterMs }) => actsAfterMs);
    worst[name] = Math.max(...acts);
    print(
      signal,
      'leads',
      taken.map(({ leadsAfterMs }) => leadsAfterMs),
    );
    print(signal, 'acts', acts);
  }
  return worst;
}

async function takeover(
  queue: QueueCase,
  parts: { leader: OperatorProcess; standby: OperatorProcess; signal: 'SIGTERM' | 'SIGKILL' },
): Promise<Takeover> {
  const { leader, standby, signal } = parts;
  await eventually(
    () => queue.counts(),
    ({ visible }) => visible === 0,
    { what: 'an empty queue', timeoutMs: TIMEOUT_MS },
  );
  const sent = new Set<string>();
  const signalMs = Date.now();
  if (signal === 'SIGTERM') leader.terminate();
  else void leader.kill();
  for (;;) {
    sent.add(await queue.send('sent after the signal'));
    await delay(SEND_EVERY_MS[signal]);
    const created = logged(standby, createdSchema);
    if (created) {
      if (!created.messageIds.every((id) => sent.has(id))) throw new Error('a Job of an earlier message');
      const leading = logged(standby, leadingSchema);
      return {
        leadsAfterMs: Date.parse(leading?.time ?? '') - signalMs,
        actsAfterMs: Date.parse(created.time) - signalMs,
      };
    }
    if (Date.now() > signalMs + TIMEOUT_MS) throw new Error(`nobody took over:\n${standby.output()}`);
  }
}

/** An operator with the default settings that is warm. */
async function start(stage: OperatorStage, election: ElectionSettings): Promise<OperatorProcess> {
  return await stage.startOperator({ cases: [CASE], election });
}

/** The first line of its log that fits. */
function logged<T>(operator: OperatorProcess, schema: z.ZodType<T>): T | undefined {
  for (const line of operator.output().split('\n')) {
    // The last one may be half a line.
    if (!line.endsWith('}')) continue;
    const fits = schema.safeParse(JSON.parse(line));
    if (fits.success) return fits.data;
  }
  return undefined;
}

function print(signal: string, what: string, figures: readonly number[]): void {
  const middle = Math.round(median(figures));
  process.stdout.write(
    `${signal}: the new leader ${what} after ${middle} ms at the median of ${figures.length}, ` +
      `${Math.min(...figures)} to ${Math.max(...figures)} ms\n`,
  );
}
