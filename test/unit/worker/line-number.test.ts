import { open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { lineNumberAt } from '../../../worker/line-number.ts';
import { workspace } from './workspace.ts';

async function lineOf(path: string, offset: number): Promise<number> {
  const file = await open(path);
  try {
    return await lineNumberAt(file, offset);
  } finally {
    await file.close();
  }
}

test('the line of an offset is that of the first character there that ends no line', async () => {
  const path = join(await workspace(), 'a');
  await fc.assert(
    fc.asyncProperty(
      fc.string({ unit: fc.constantFrom('a', 'b', '\n', '\r\n'), maxLength: 40 }),
      fc.nat(40),
      async (text, offset) => {
        fc.pre(offset <= text.length);
        await writeFile(path, text);
        const rest = text.slice(offset).match(/^[\r\n]*/)?.[0] ?? '';
        const line = (text.slice(0, offset) + rest).split('\n').length;
        expect(await lineOf(path, offset)).toBe(line);
      },
    ),
  );
});

test('lines are counted across blocks', async () => {
  const path = join(await workspace(), 'a');
  await writeFile(path, `${'x\r\n'.repeat(300_000)}last`);
  expect(await lineOf(path, 900_000)).toBe(300_001);
});
