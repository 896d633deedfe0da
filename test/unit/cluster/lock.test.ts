import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { withLock } from '../../cluster/lock.ts';

const OPTIONS = { progress: () => undefined, signal: undefined };

let parent: string;
let lock: string;

beforeEach(async () => {
  parent = await mkdtemp(path.join(tmpdir(), 'lock-'));
  lock = path.join(parent, 'lock');
});

afterEach(() => rm(parent, { recursive: true, force: true }));

describe('lock', () => {
  test('work under the same lock never overlaps', async () => {
    let inside = 0;
    const seen: number[] = [];
    const work = async () => {
      inside += 1;
      seen.push(inside);
      await readdir(parent);
      inside -= 1;
    };
    await Promise.all(Array.from({ length: 4 }, () => withLock(lock, OPTIONS, work)));
    expect(seen).toEqual([1, 1, 1, 1]);
  });

  test('is free again after work that fails', async () => {
    await expect(withLock(lock, OPTIONS, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(await withLock(lock, OPTIONS, async () => 'yes')).toBe('yes');
    expect(await readdir(parent)).toEqual([]);
  });

  test('is taken over from a dead process', async () => {
    await mkdir(lock);
    await writeFile(path.join(lock, 'holder'), JSON.stringify({ pid: 999_999_999, startTime: '1' }));
    expect(await withLock(lock, OPTIONS, async () => 'taken')).toBe('taken');
  });

  test('says that it waits, and stops waiting when aborted', async () => {
    const lines: string[] = [];
    const abort = new AbortController();
    await withLock(lock, OPTIONS, async () => {
      const progress = (line: string) => {
        lines.push(line);
        abort.abort(new Error('enough'));
      };
      await expect(withLock(lock, { progress, signal: abort.signal }, async () => undefined)).rejects.toThrow(
        'enough',
      );
    });
    expect(lines).toEqual([expect.stringContaining('waiting for another process')]);
  });
});
