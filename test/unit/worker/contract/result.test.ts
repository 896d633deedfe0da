import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { z } from 'zod';
import { indexListText } from '../../../../worker/contract/index-list.ts';
import {
  MAX_RESULT_BYTES,
  type Result,
  resultText,
  writeResult,
} from '../../../../worker/contract/result.ts';
import { namesIn, workspace } from '../workspace.ts';

const reading = z.object({ reason: z.string(), succeededIndexes: z.string(), rejectedIndexes: z.string() });

function aResult(more: Partial<Result> = {}): Result {
  const summary = { rowsIn: 3, rowsOut: 2, seconds: 1.235 };
  return { succeeded: [0], rejected: [], retryAfterSeconds: undefined, reason: undefined, summary, ...more };
}

describe('The result', () => {
  test('is one line of JSON with both lists and the summary; a reason only when something failed', () => {
    expect(JSON.parse(resultText(aResult()))).toEqual({
      succeededIndexes: '0',
      rejectedIndexes: '',
      summary: { rowsIn: 3, rowsOut: 2, seconds: 1.235 },
    });
    expect(JSON.parse(resultText(aResult({ rejected: [1, 2, 4], reason: 'why' })))).toMatchObject({
      rejectedIndexes: '1-2,4',
      reason: 'why',
    });
    expect(JSON.parse(resultText(aResult({ retryAfterSeconds: 60 })))).toMatchObject({
      retryAfterSeconds: 60,
    });
  });

  test('of any length is valid JSON of at most 4096 bytes with both lists whole', () => {
    const indexes = fc.uniqueArray(fc.nat(99));
    const reason = fc.string({ unit: 'binary', maxLength: 300 }).map((text) => text.repeat(40));
    fc.assert(
      fc.property(indexes, indexes, reason, (succeeded, rejected, text) => {
        const written = resultText(aResult({ succeeded, rejected, reason: text }));
        expect(Buffer.byteLength(written)).toBeLessThanOrEqual(MAX_RESULT_BYTES);
        const read = reading.parse(JSON.parse(written));
        expect(read.reason.isWellFormed()).toBe(text.isWellFormed());
        expect(text.startsWith(read.reason.replace(/…$/, ''))).toBe(true);
        expect(read.succeededIndexes).toBe(indexListText(succeeded));
        expect(read.rejectedIndexes).toBe(indexListText(rejected));
      }),
    );
  });

  test('keeps as much of a long reason as fits', () => {
    const bytes = Buffer.byteLength(resultText(aResult({ reason: 'é'.repeat(5000) })));
    expect(bytes).toBeGreaterThan(MAX_RESULT_BYTES - 3);
  });

  test('replaces what the file held, and a file that is not there is not made', async () => {
    const directory = await workspace();
    const path = join(directory, 'log');
    await writeFile(path, 'x'.repeat(5000));
    expect(await writeResult(path, aResult())).toBeUndefined();
    expect(await readFile(path, 'utf8')).toBe(resultText(aResult()));
    expect(await writeResult(join(directory, 'none'), aResult())).toMatchObject({ code: 'ENOENT' });
    await mkdir(join(directory, 'dir'));
    expect(await writeResult(join(directory, 'dir'), aResult())).toMatchObject({ code: 'EISDIR' });
    expect(await namesIn(directory)).toEqual(['dir', 'log']);
  });
});
