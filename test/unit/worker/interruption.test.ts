import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { aRecord, ended, eventually, namesIn, podWith, startWorker } from './workspace.ts';

const ROWS = 400_000;

/** A pod with a file large enough to be interrupted in, and a small published output from before. */
async function largePod() {
  const pod = await podWith([aRecord({ input: 'in/large.csv', output: 'large.csv' })]);
  await writeFile(join(pod.storage, 'in/large.csv'), `ID,Value\n${'1,100.5\n'.repeat(ROWS)}`);
  await writeFile(join(pod.storage, 'large.csv'), 'as it was');
  return pod;
}

/** Resolves when the worker has begun to write. */
async function writing(storage: string): Promise<string> {
  return eventually(async () => (await namesIn(storage)).find((name) => name.endsWith('.tmp')));
}

describe('A worker that is interrupted while it writes', () => {
  test('by SIGTERM removes its temporary file, publishes nothing and exits with 75', async () => {
    const pod = await largePod();
    const worker = startWorker([], pod.env);
    await writing(pod.storage);
    worker.kill('SIGTERM');
    expect(await ended(worker)).toMatchObject({ code: 75, stderr: '' });
    expect(await namesIn(pod.storage)).toEqual(['in', 'large.csv']);
    expect(await readFile(join(pod.storage, 'large.csv'), 'utf8')).toBe('as it was');
    expect(await pod.result()).toMatchObject({
      succeededIndexes: '',
      rejectedIndexes: '',
      reason: 'stopped by SIGTERM before the end',
      summary: { rowsOut: 0 },
    });
  });

  test('by SIGKILL publishes no part, and the next run publishes the whole', async () => {
    const pod = await largePod();
    const worker = startWorker([], pod.env);
    const temporary = await writing(pod.storage);
    worker.kill('SIGKILL');
    expect(await ended(worker)).toMatchObject({ signal: 'SIGKILL' });
    expect(await namesIn(pod.storage)).toEqual([temporary, 'in', 'large.csv']);
    expect(await readFile(join(pod.storage, 'large.csv'), 'utf8')).toBe('as it was');
    expect((await ended(startWorker([], pod.env))).code).toBe(0);
    expect((await readFile(join(pod.storage, 'large.csv'), 'utf8')).split('\n')).toHaveLength(ROWS + 2);
    // What the killed one left is gone.
    expect(await namesIn(pod.storage)).toEqual(['.batchqueue', 'in', 'large.csv']);
  });

  test('keeps what it has finished: the succeeded records are named', async () => {
    const pod = await largePod();
    await writeFile(join(pod.storage, 'in/small.csv'), 'ID,Value\n1,1\n');
    const records = [
      aRecord({ input: 'in/small.csv', output: 'small.csv' }),
      aRecord({ input: 'in/large.csv', output: 'large.csv' }),
    ];
    await writeFile(pod.env['BATCHQUEUE_MESSAGES_FILE'] ?? '', JSON.stringify(records));
    const worker = startWorker([], pod.env);
    await eventually(async () => ((await namesIn(pod.storage)).includes('small.csv') ? true : undefined));
    await writing(pod.storage);
    worker.kill('SIGTERM');
    expect((await ended(worker)).code).toBe(75);
    expect(await pod.result()).toMatchObject({
      succeededIndexes: '0',
      rejectedIndexes: '',
      summary: { rowsOut: 1 },
    });
    expect(await namesIn(pod.storage)).toEqual(['.batchqueue', 'in', 'large.csv', 'small.csv']);
  });
});

test('Two workers with the same message at the same time leave one valid output and no temporary file', async () => {
  const pod = await largePod();
  const both = await Promise.all([startWorker([], pod.env), startWorker([], pod.env)].map(ended));
  expect(both.map(({ code }) => code)).toEqual([0, 0]);
  const together = await readFile(join(pod.storage, 'large.csv'), 'utf8');
  expect(await namesIn(pod.storage)).toEqual(['.batchqueue', 'in', 'large.csv']);
  expect((await ended(startWorker([], pod.env))).code).toBe(0);
  expect(together === (await readFile(join(pod.storage, 'large.csv'), 'utf8'))).toBe(true);
});

test('Killed at any moment, it leaves the old outputs or the whole new ones', async () => {
  const pod = await podWith([aRecord({ input: 'in/a.csv', output: 'a.csv', onInvalidRow: 'reject' })]);
  await writeFile(join(pod.storage, 'in/a.csv'), `ID,Value\n${'1,100.5\n'.repeat(20_000)}2,x\n`);
  expect((await ended(startWorker([], pod.env))).code).toBe(0);
  const outputs = ['a.csv', 'a.csv.rejected.csv'].map((name) => join(pod.storage, name));
  const whole = await Promise.all(outputs.map((path) => readFile(path, 'utf8')));
  const took = performance.now();
  await rm(join(pod.storage, '.batchqueue'), { recursive: true });
  expect((await ended(startWorker([], pod.env))).code).toBe(0);
  const duration = performance.now() - took;
  for (let step = 0; step < 12; step += 1) {
    await rm(join(pod.storage, '.batchqueue'), { recursive: true, force: true });
    for (const path of outputs) await writeFile(path, 'old');
    const worker = startWorker([], pod.env);
    // No condition to wait for: the moments are meant to be any, from the start to just after the end.
    const timer = setTimeout(() => worker.kill('SIGKILL'), (duration * step) / 10);
    await ended(worker);
    clearTimeout(timer);
    for (const [index, path] of outputs.entries()) {
      expect(['old', whole[index]]).toContain(await readFile(path, 'utf8'));
    }
  }
  // Whatever stage it was killed in, the next run ends with the same bytes and leaves nothing else.
  expect((await ended(startWorker([], pod.env))).code).toBe(0);
  expect(await Promise.all(outputs.map((path) => readFile(path, 'utf8')))).toEqual(whole);
  expect(await namesIn(pod.storage)).toEqual(['.batchqueue', 'a.csv', 'a.csv.rejected.csv', 'in']);
});
