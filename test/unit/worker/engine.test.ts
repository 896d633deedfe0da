import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { configFromEnvironment } from '../../../worker/config.ts';
import { aRecord, ended, podWith, startWorker, workspace } from './workspace.ts';

test('The engine is chosen by name, both write the same bytes, and other names are refused', async () => {
  const root = await workspace();
  const input = join(root, 'a.csv');
  await writeFile(input, 'ID,Value\n1,100.5\n"a,b",2e3\n"c","-0.25"\n');
  const run = async (name: string) =>
    ended(startWorker([input, join(root, `${name}.csv`), '--engine', name], {}));
  expect(await run('kernel')).toMatchObject({ code: 0, stderr: '' });
  expect(await run('reference')).toMatchObject({ code: 0, stderr: '' });
  expect(await readFile(join(root, 'kernel.csv'), 'utf8')).toBe(
    await readFile(join(root, 'reference.csv'), 'utf8'),
  );
  expect(await run('other')).toMatchObject({
    code: 64,
    stderr: expect.stringContaining('engine must be "kernel" or "reference", got "other"'),
  });
});

test('In a pod BATCHQUEUE_CSV_ENGINE chooses it, and another name is a wrong set-up', async () => {
  const pod = await podWith([aRecord({ input: 'in/a.csv', output: 'a.csv' })]);
  await writeFile(join(pod.storage, 'in/a.csv'), 'ID,Value\n1,100.5\n"a,b",2e3\n');
  const run = async (engine: string) => {
    const env = { ...pod.env, BATCHQUEUE_CSV_ENGINE: engine };
    const { code } = await ended(startWorker([], env));
    return { code, result: await pod.result(), text: await readFile(join(pod.storage, 'a.csv'), 'utf8') };
  };
  const { text } = await run('kernel');
  await rm(join(pod.storage, 'a.csv'));
  expect(await run('reference')).toMatchObject({ code: 0, text });
  expect(await run('other')).toMatchObject({
    code: 78,
    result: { reason: 'BATCHQUEUE_CSV_ENGINE: engine must be "kernel" or "reference", got "other"' },
  });
  const configured = (engine?: string) =>
    configFromEnvironment({ BATCHQUEUE_STORAGE_PATH: '/s', BATCHQUEUE_CSV_ENGINE: engine }).engine;
  expect([configured(), configured('kernel'), configured('reference')]).toEqual([
    'kernel',
    'kernel',
    'reference',
  ]);
});
