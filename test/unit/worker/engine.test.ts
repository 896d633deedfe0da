import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { ended, startWorker, workspace } from './workspace.ts';

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
