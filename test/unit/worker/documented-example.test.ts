import { readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { expect, test } from '@jest/globals';
import { taskFromBody } from '../../../worker/body.ts';
import { aRecord, ended, podWith, startWorker } from './workspace.ts';

const GUIDE = resolve(import.meta.dirname, '../../../docs/workers.md');

/** The code blocks of the guide in one language. */
async function blocksOf(language: string): Promise<string[]> {
  const guide = await readFile(GUIDE, 'utf8');
  return [...guide.matchAll(new RegExp(`\`\`\`${language}\\n(.*?)\`\`\``, 'gs'))].map(
    ([, text = '']) => text,
  );
}

test('The JSON examples of the guide are what they are said to be', async () => {
  const blocks = await blocksOf('json');
  const values = blocks.map((text): unknown => JSON.parse(text));
  expect(values).toEqual([
    [expect.objectContaining({ messageId: expect.any(String), body: expect.any(String), attempt: 1 })],
    expect.objectContaining({ succeededIndexes: '0-4,6', rejectedIndexes: '7', retryAfterSeconds: 60 }),
    expect.objectContaining({ onInvalidRow: 'reject' }),
  ]);
  expect(taskFromBody(blocks[2] ?? '', 'm')).toMatchObject({ seed: '2026-11', columns: { id: 'Order' } });
});

test('The transform of the guide does what is written beside it', async () => {
  const pod = await podWith([aRecord({ input: 'in/a.csv', output: 'a.csv', onInvalidRow: 'reject' })]);
  const transform = join(pod.directory, 'transform.mjs');
  await writeFile(transform, (await blocksOf('js'))[0] ?? '');
  await writeFile(join(pod.storage, 'in/a.csv'), 'Order,Net,Status\n1,100,paid\n2,5,cancelled\n3,x,paid\n');
  const { code } = await ended(startWorker([], { ...pod.env, BATCHQUEUE_TRANSFORM: transform }));
  expect(code).toBe(0);
  expect(await readFile(join(pod.storage, 'a.csv'), 'utf8')).toBe('Order,Gross\n1,119\n');
  expect(await readFile(join(pod.storage, 'a.csv.rejected.csv'), 'utf8')).toContain(
    'Net must be a whole number',
  );
});
