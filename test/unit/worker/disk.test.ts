import { spawnSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { aRecord, podWith } from './workspace.ts';

const MAIN = resolve(import.meta.dirname, '../../../worker/main.ts');

/** A tmpfs of one's own in a namespace of one's own; needs root. */
const canMount = spawnSync('unshare', ['-m', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt']).status === 0;

/**
 * Runs the real worker with a file system of this size as its storage, which holds this input; `prepare` is run there
 * before it. Everything that is left, sizes included, is listed.
 */
async function runOn(
  size: string,
  { body, prepare = ':' }: { readonly body: object; readonly prepare?: string },
) {
  const pod = await podWith([aRecord(body)]);
  const input = join(pod.directory, 'input.csv');
  await writeFile(input, `ID,Value\n${'1,100.5\n'.repeat(20_000)}`);
  const script = `set -e
    mount -t tmpfs -o size=${size},mode=0777 tmpfs "$STORAGE"
    cd "$STORAGE"; mkdir in out; cp "$INPUT" in/a.csv; printf old >out/a.csv
    ${prepare}
    code=0; "$NODE" "$MAIN" >"$LOG" 2>&1 || code=$?
    find . -type f -printf '%P %s\\n' | sort
    exit $code`;
  const log = join(pod.directory, 'log');
  const env = { PATH: process.env['PATH'], ...pod.env, STORAGE: pod.storage, INPUT: input };
  const { status, stdout, stderr } = spawnSync('unshare', ['-m', 'sh', '-c', script], {
    env: { ...env, NODE: process.execPath, MAIN, LOG: log },
    encoding: 'utf8',
  });
  const files = stdout.trim().split('\n');
  return { status, stderr, files, result: await pod.result(), log: await readFile(log, 'utf8') };
}

const BODY = { input: 'in/a.csv', output: 'out/a.csv' };
const LEFT_AS_IT_WAS = ['in/a.csv 160009', 'out/a.csv 3'];

(canMount ? describe : describe.skip)('On a disk of its own (needs root, to mount it) the worker', () => {
  test.each([
    ['that is full', BODY],
    ['that is full, with bad rows set aside', { ...BODY, onInvalidRow: 'reject' }],
  ])('%s exits with 75, leaves the old output and no debris', async (_name, body) => {
    const { status, stderr, files, result } = await runOn('256k', { body });
    expect({ status, stderr, files }).toEqual({ status: 75, stderr: '', files: LEFT_AS_IT_WAS });
    expect(result).toMatchObject({
      succeededIndexes: '',
      rejectedIndexes: '',
      reason: 'output out/a.csv: no space left on the volume (ENOSPC)',
    });
  });

  test('that is full to the last name exits with 75', async () => {
    const { status, files, result } = await runOn('1m,nr_inodes=6', { body: BODY, prepare: ': >in/last' });
    expect({ status, files }).toEqual({
      status: 75,
      files: [...LEFT_AS_IT_WAS.slice(0, 1), 'in/last 0', 'out/a.csv 3'],
    });
    expect(result).toMatchObject({ reason: expect.stringContaining('no space left on the volume (ENOSPC)') });
  });

  test('that is read-only exits with 78', async () => {
    const prepare = 'mount -o remount,ro "$STORAGE"';
    const { status, files, result } = await runOn('8m', { body: BODY, prepare });
    expect({ status, files }).toEqual({ status: 78, files: LEFT_AS_IT_WAS });
    expect(result).toMatchObject({ reason: expect.stringContaining('EROFS') });
  });

  test('that has room for the output and no more publishes it, with or without its manifest', async () => {
    const { status, files } = await runOn('8m', { body: BODY });
    expect(status).toBe(0);
    expect(files).toEqual([
      expect.stringMatching(/^\.batchqueue\/.*\.json \d+$/),
      'in/a.csv 160009',
      expect.stringMatching(/^out\/a\.csv \d{6}$/),
    ]);
  });
});
