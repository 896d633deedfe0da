/** Clients that do nothing else, to compare the operator with. */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { PODS } from '../../operator/world.ts';
import { clearJobs } from './jobs.ts';
import type { SentJob } from './operator.ts';
import type { Stage } from './stage.ts';
import { until } from './wait.ts';

const IN_FLIGHT = [8, 16, 32, 64];
const PODS_TIMEOUT_MS = 600_000;

/**
 * Jobs a second of the best of several numbers of requests in flight. All Jobs and pods are cleared away before each; no
 * operator may run.
 */
export async function measureBareCreates(stage: Stage, jobs: readonly SentJob[]): Promise<number> {
  const client = stage.startChild('bare-creator.ts', [stage.cluster.kubeconfigPath]);
  const jobsPath = path.join(stage.directory, 'jobs.json');
  await writeFile(jobsPath, JSON.stringify(jobs));
  let best = 0;
  for (const inFlight of IN_FLIGHT) {
    await clearJobs(stage);
    const tookMs = z.number().parse(await client.ask('create', { jobsPath, inFlight }));
    best = Math.max(best, (jobs.length / tookMs) * 1_000);
    await whenStarted(stage, jobs.length);
  }
  await client.stop('SIGKILL');
  return best;
}

/** Messages a second of a loop that receives and deletes. */
export async function measureBareReceives(stage: Stage, messages: number): Promise<number> {
  const client = stage.startChild('bare-receiver.ts', [stage.endpoint()]);
  await stage.sendMany('bare', messages);
  const tookMs = z.number().parse(await client.ask('drain', { url: stage.urlOf('bare'), messages }));
  await client.stop('SIGKILL');
  return (messages / tookMs) * 1_000;
}

/** The Job controller has made a pod for every Job: nothing of this run weighs on the next one. */
async function whenStarted({ client, namespace }: Stage, jobs: number): Promise<void> {
  await until(`${jobs} pods`, PODS_TIMEOUT_MS, async () => {
    return (await client.list(PODS, { namespace })).items.length >= jobs;
  });
}
