import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { run } from '../cluster/run.ts';

jest.setTimeout(180_000);

let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'batchqueue-bench-test-'));
});

afterAll(async () => {
  await rm(directory, { recursive: true });
});

/** The JSON of a benchmark in its short form: what is measured there is that it measures. */
async function bench(name: string, ...args: readonly string[]): Promise<unknown> {
  const file = path.join(directory, `${name}.json`);
  await run(process.execPath, ['bench/main.ts', name, '--short', '--json', file, ...args]);
  return JSON.parse(await readFile(file, 'utf8'));
}

const positive = expect.any(Number);

test('npm run bench -- dispatch tells latency, rates beside bare clients, and requests', async () => {
  const burst = { jobsPerSecond: positive, bareJobsPerSecond: positive, ratio: positive };
  expect(await bench('dispatch')).toEqual({
    lone: { count: 5, p50Ms: positive, p95Ms: positive, p99Ms: positive },
    bursts: [
      { messages: 30, jobs: 30, countsLateSeconds: 0, ...burst },
      { messages: 20, jobs: 20, countsLateSeconds: 30, ...burst },
    ],
    batched: {
      batchSize: 100,
      messagesPerSecond: positive,
      bareMessagesPerSecond: positive,
      ratio: positive,
    },
    requestsPerMessage: { sqs: positive, kubernetes: positive },
  });
});

test('npm run bench -- idle tells memory, requests and CPU', async () => {
  expect(await bench('idle')).toEqual({
    queues: 5,
    rssMiB: positive,
    receivesPerQueuePerMinute: positive,
    attributeReadsPerQueuePerMinute: positive,
    triesOfRightsPerQueuePerMinute: expect.any(Number),
    kubernetesWritesPerMinute: positive,
    leaseWritesPerMinute: positive,
    cpuSecondsPerMinute: positive,
  });
});
