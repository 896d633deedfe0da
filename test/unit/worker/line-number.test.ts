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

test('the line of an offset is that of the first row there', async () => {
  const path = join(await workspace(), 'a');
  await fc.assert(
    fc.asyncProperty(
      fc.string({ unit: fc.constantFrom('a', 'b', '\n', '\r\n', '\r'), maxLength: 40 }),
      fc.nat(40),
      async (text, offset) => {
        fc.pre(offset <= text.length);
        await writeFile(path, text);
        const rest = text.slice(offset).match(/^(\r?\n)*/)?.[0] ?? '';
        const line = (text.slice(0, offset) + rest).split('\n').length;
        expect(await lineOf(path, offset)).toBe(line);
      },
    ),
  );
});

test('a CR that no LF follows begins a row; only CRLF and LF end blank lines', async () => {
  const path = join(await workspace(), 'a');
  for (const [text, line] of [
    ['\r\r\na', 1],
    ['\r\n\r\r\n\na', 2],
    ['\n\ra\n', 2],
    ['\n\r', 2],
    ['\r\n\na', 3],
  ] as const) {
    await writeFile(path, `x${text}`);
    expect({ text, line: await lineOf(path, 1) }).toEqual({ text, line });
  }
});

test('lines are counted across blocks', async () => {
  const path = join(await workspace(), 'a');
  await writeFile(path, `${'x\r\n'.repeat(300_000)}last`);
  expect(await lineOf(path, 900_000)).toBe(300_001);
});
