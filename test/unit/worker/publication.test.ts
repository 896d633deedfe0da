import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from '@jest/globals';
import { WorkerError } from '../../../worker/contract/errors.ts';
import { publish } from '../../../worker/publication.ts';
import { namesIn, workspace } from './workspace.ts';

const goOn = new AbortController().signal;
let root: string;
beforeEach(async () => {
  root = await workspace();
});

const at = (relative: string) => ({ root, relative, shown: relative });
const fails = (code: string) => async () => {
  throw Object.assign(new Error(code), { code, syscall: 'write' });
};

describe('A publication', () => {
  test('shows nothing under the name before everything is written', async () => {
    await writeFile(join(root, 'b.csv'), 'old');
    await publish(
      at('b.csv'),
      async (file) => {
        await file.writeFile('new, half');
        expect(await readFile(join(root, 'b.csv'), 'utf8')).toBe('old');
        expect(await namesIn(root)).toEqual([
          expect.stringMatching(/^\.b\.csv\.[0-9a-f]{16}\.tmp$/),
          'b.csv',
        ]);
        await file.writeFile(' and whole');
      },
      goOn,
    );
    expect(await readFile(join(root, 'b.csv'), 'utf8')).toBe('new, half and whole');
    expect(await namesIn(root)).toEqual(['b.csv']);
  });

  test.each([
    ['ENOSPC', 'retry'],
    ['EDQUOT', 'retry'],
    ['EIO', 'retry'],
    ['ESTALE', 'retry'],
    ['EROFS', 'misconfigured'],
  ])('that fails with %s leaves the old file, no temporary one, and is %s', async (code, verdict) => {
    await writeFile(join(root, 'b.csv'), 'old');
    await expect(publish(at('b.csv'), fails(code), goOn)).rejects.toMatchObject({
      verdict,
      message: expect.stringContaining(code),
    });
    expect(await namesIn(root)).toEqual(['b.csv']);
    expect(await readFile(join(root, 'b.csv'), 'utf8')).toBe('old');
  });

  test('that is stopped while writing leaves nothing', async () => {
    const stop = new AbortController();
    const reason = new WorkerError('retry', 'stopped');
    const stopped = publish(at('b.csv'), async () => stop.abort(reason), stop.signal);
    await expect(stopped).rejects.toBe(reason);
    expect(await namesIn(root)).toEqual([]);
  });

  test('whose place was taken by a directory meanwhile leaves no temporary file', async () => {
    const late = publish(at('b.csv'), () => mkdir(join(root, 'b.csv')), goOn);
    await expect(late).rejects.toMatchObject({ verdict: 'reject' });
    expect(await namesIn(root)).toEqual(['b.csv']);
  });

  test('whose directory was removed meanwhile may succeed later', async () => {
    const late = publish(at('out/b.csv'), () => rm(join(root, 'out'), { recursive: true }), goOn);
    await expect(late).rejects.toMatchObject({ verdict: 'retry' });
  });

  test('fits names of the greatest length', async () => {
    const name = `${'日'.repeat(83)}.csv`;
    await publish(at(name), async (file) => file.writeFile('x'), goOn);
    expect(await namesIn(root)).toEqual([name]);
  });
});
