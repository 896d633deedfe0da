import { spawnSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { aRecord, namesIn, podWith } from './workspace.ts';

const hasPython = spawnSync('python3', ['--version']).status === 0;
const GUIDE = resolve(import.meta.dirname, '../../../docs/workers.md');

let program: string;
beforeAll(async () => {
  const guide = await readFile(GUIDE, 'utf8');
  program = /```python\n(.*?)```/s.exec(guide)?.[1] ?? '';
});

/** Runs the program of the guide, word for word, on one message. */
async function run(body: unknown, more: NodeJS.ProcessEnv = {}) {
  const pod = await podWith([aRecord(body)]);
  await writeFile(join(pod.storage, 'in/a.txt'), 'one\ntwo\nthree\n');
  const env = { PATH: process.env['PATH'], ...pod.env, ...more };
  const { status, stderr } = spawnSync('python3', ['-c', program], { env, encoding: 'utf8' });
  return { status, stderr, storage: pod.storage };
}

(hasPython ? describe : describe.skip)('The Python worker in docs/workers.md (needs python3)', () => {
  test('does its work and exits with 0', async () => {
    const { status, stderr, storage } = await run({ input: 'in/a.txt', output: 'out/count.txt' });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(await readFile(join(storage, 'out/count.txt'), 'utf8')).toBe('3\n');
    expect(await namesIn(join(storage, 'out'))).toEqual(['count.txt']);
  });

  test.each<[string, unknown, NodeJS.ProcessEnv, number]>([
    ['a body that is no JSON', 'x', {}, 65],
    ['a body that is no object', '[]', {}, 65],
    ['a missing field', { input: 'in/a.txt' }, {}, 65],
    ['a missing input', { input: 'in/none.txt', output: 'b' }, {}, 65],
    ['a path outside the storage', { input: '../messages.json', output: 'b' }, {}, 65],
    ['a missing set-up', {}, { BATCHQUEUE_MESSAGES_FILE: '/nowhere' }, 78],
    ['a failed file operation', { input: 'in/a.txt', output: 'in/a.txt/b' }, {}, 75],
  ])('for %s exits with the contract code', async (_name, body, env, code) => {
    expect((await run(body, env)).status).toBe(code);
  });
});

test('The JSON examples of the guide are JSON', async () => {
  const blocks = [...(await readFile(GUIDE, 'utf8')).matchAll(/```json\n(.*?)```/gs)].map(
    ([, text = '']) => JSON.parse(text) as unknown,
  );
  expect(blocks).toEqual([
    [expect.objectContaining({ messageId: expect.any(String), body: expect.any(String), attempt: 1 })],
    expect.objectContaining({ succeededIndexes: '0-4,6', rejectedIndexes: '7' }),
  ]);
});
