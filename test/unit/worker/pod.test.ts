import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { aRecord, ended, namesIn, podWith, startWorker } from './workspace.ts';

const GOOD = { input: 'in/a.csv', output: 'out/a.csv' };

/** A pod whose storage holds one good and one bad file. */
async function podWithFiles(records: unknown) {
  const pod = await podWith(records);
  await writeFile(join(pod.storage, 'in/a.csv'), 'ID,Value\n1,100.5\n2,200.3\n');
  await writeFile(join(pod.storage, 'in/bad.csv'), 'ID,Value\n1,100.5\n2,abc\n');
  return pod;
}

describe('A worker in a pod', () => {
  test('processes its message, writes the result and exits with 0', async () => {
    const pod = await podWithFiles([aRecord(GOOD)]);
    const { code, stdout, stderr } = await ended(startWorker([], pod.env));
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const output = await readFile(join(pod.storage, 'out/a.csv'), 'utf8');
    expect(output).toMatch(/^ID,Value,ProcessedValue\n1,100\.5,[\d.]+\n2,200\.3,[\d.]+\n$/);
    expect(await pod.result()).toEqual({
      succeededIndexes: '0',
      rejectedIndexes: '',
      summary: {
        rowsIn: 2,
        rowsOut: 2,
        rowsRejected: 0,
        bytesIn: 25,
        bytesOut: output.length,
        seconds: expect.any(Number),
      },
    });
    const log = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown);
    expect(log).toEqual([
      expect.objectContaining({
        msg: 'published',
        namespace: 'default',
        batchqueue: 'orders',
        input: 'in/a.csv',
        rowsOut: 2,
      }),
    ]);
  });

  test('writes the same bytes for the same message, and others for another message or seed', async () => {
    const pod = await podWithFiles([
      aRecord({ ...GOOD, output: '1' }, 'm-1'),
      aRecord({ ...GOOD, output: '2' }, 'm-1'),
      aRecord({ ...GOOD, output: '3' }, 'm-2'),
      aRecord({ ...GOOD, output: '4', seed: 'm-1' }, 'm-3'),
      aRecord({ ...GOOD, output: '5', seed: 'other' }, 'm-1'),
    ]);
    expect((await ended(startWorker([], pod.env))).code).toBe(0);
    const [first, second, third, fourth, fifth] = await Promise.all(
      ['1', '2', '3', '4', '5'].map((name) => readFile(join(pod.storage, name), 'utf8')),
    );
    expect([second, fourth]).toEqual([first, first]);
    expect(new Set([first, third, fifth]).size).toBe(3);
  });

  test('says which line is wrong and why, and exits with 65', async () => {
    const pod = await podWithFiles([aRecord({ ...GOOD, input: 'in/bad.csv' })]);
    const { code, stdout } = await ended(startWorker([], pod.env));
    expect(code).toBe(65);
    const reason = expect.stringMatching(
      /^in\/bad\.csv, line 3, column 2 \(Value\): got "abc", allowed: a decimal number/,
    );
    expect(await pod.result()).toMatchObject({
      succeededIndexes: '',
      rejectedIndexes: '0',
      reason,
      summary: { rowsIn: 1, rowsOut: 0, bytesIn: 23, bytesOut: 0 },
    });
    expect(JSON.parse(stdout)).toMatchObject({ msg: 'failed', verdict: 'reject', reason });
    expect(await namesIn(join(pod.storage, 'out'))).toEqual([]);
  });

  test.each<[string, unknown, string]>([
    ['a body that is no JSON', 'canary-body', 'body: got 11 characters that are not JSON'],
    ['an unknown field', { ...GOOD, image: 'canary-body' }, 'unknown field "image"'],
    [
      'a path that leaves the root',
      { ...GOOD, input: '../../etc/passwd' },
      'body field "input": got "../../etc/passwd"',
    ],
    ['an input that does not exist', { ...GOOD, input: 'in/none.csv' }, 'input in/none.csv: does not exist'],
  ])('exits with 65 for %s, and neither log nor result holds the body', async (_name, body, reason) => {
    const pod = await podWithFiles([aRecord(body)]);
    const { code, stdout, stderr } = await ended(startWorker([], pod.env));
    expect(code).toBe(65);
    expect(await pod.result()).toMatchObject({
      rejectedIndexes: '0',
      reason: expect.stringContaining(reason),
    });
    expect(stdout + stderr + (await readFile(pod.resultFile, 'utf8'))).not.toContain('canary');
  });

  test('processes all records of a file in order and names the succeeded and the rejected ones', async () => {
    const pod = await podWithFiles([
      aRecord(GOOD, 'm-0'),
      aRecord({ input: 'in/bad.csv', output: 'out/bad.csv' }, 'm-1'),
      aRecord({ input: 'in/a.csv', output: 'out/b.csv' }, 'm-2'),
      aRecord({ input: 'in/a.csv', output: 'out/c.csv' }, 'm-3'),
      aRecord('{}', 'm-4'),
    ]);
    expect((await ended(startWorker([], pod.env))).code).toBe(65);
    expect(await pod.result()).toMatchObject({
      succeededIndexes: '0,2-3',
      rejectedIndexes: '1,4',
      reason: expect.stringMatching(/^message 1: in\/bad\.csv, line 3.*; message 4: body field "input"/),
      summary: { rowsOut: 6 },
    });
    expect(await namesIn(join(pod.storage, 'out'))).toEqual(['a.csv', 'b.csv', 'c.csv']);
  });

  test('exits with 75 when one of them may succeed later, and names only what can never succeed', async () => {
    const pod = await podWithFiles([
      aRecord({ ...GOOD, output: 'full/a.csv' }, 'm-0'),
      aRecord('{}', 'm-1'),
      aRecord(GOOD, 'm-2'),
    ]);
    await writeFile(join(pod.storage, 'in/a.csv'), `ID,Value\n${'1,2\n'.repeat(50_000)}`);
    await writeFile(join(pod.storage, 'in/small.csv'), 'ID,Value\n1,2\n');
    await writeFile(
      pod.env['BATCHQUEUE_MESSAGES_FILE'] ?? '',
      JSON.stringify([
        aRecord(GOOD, 'm-0'),
        aRecord('{}', 'm-1'),
        aRecord({ input: 'in/small.csv', output: 'out/small.csv' }, 'm-2'),
      ]),
    );
    // A real failing write: the limit on the size of files (64 blocks of 512 or 1024 bytes) ends it with EFBIG.
    const { code } = await ended(startWorker([], pod.env, { fileSizeBlocks: 64 }));
    expect(code).toBe(75);
    expect(await pod.result()).toMatchObject({
      succeededIndexes: '2',
      rejectedIndexes: '1',
      reason: expect.stringContaining('EFBIG'),
    });
    expect(await namesIn(join(pod.storage, 'out'))).toEqual(['small.csv']);
  });
});

describe('A worker that is set up wrongly exits with 78 and says why', () => {
  test.each<[string, string]>([
    ['not JSON: canary-body', 'not JSON'],
    ['{}', 'array of at least one record'],
    ['[]', 'array of at least one record'],
    ['[{"messageId":"m"}]', '0.body'],
    ['[{"messageId":"","body":"{}"}]', '0.messageId'],
  ])('when the messages file is %s', async (text, reason) => {
    const pod = await podWith(text);
    const { code, stdout } = await ended(startWorker([], pod.env));
    expect(code).toBe(78);
    expect(await pod.result()).toMatchObject({
      succeededIndexes: '',
      rejectedIndexes: '',
      reason: expect.stringContaining(reason),
    });
    expect(stdout).not.toContain('canary');
  });

  test('when the messages file is missing, the storage is missing, or no storage is named', async () => {
    const pod = await podWith([aRecord(GOOD)]);
    const { BATCHQUEUE_STORAGE_PATH: _storage, ...withoutStorage } = pod.env;
    for (const [env, reason] of [
      [{ ...pod.env, BATCHQUEUE_MESSAGES_FILE: '/nowhere/messages.json' }, 'messages file cannot be read'],
      [{ ...pod.env, BATCHQUEUE_STORAGE_PATH: '/nowhere' }, 'storage root cannot be used'],
      [
        { ...pod.env, BATCHQUEUE_STORAGE_PATH: 'relative' },
        'BATCHQUEUE_STORAGE_PATH must be the absolute path',
      ],
      [
        withoutStorage,
        'BATCHQUEUE_STORAGE_PATH must be the absolute path of the storage (spec.storage), got nothing',
      ],
      [{ ...withoutStorage, BATCHQUEUE_MESSAGES_FILE: '' }, 'got nothing; BATCHQUEUE_STORAGE_PATH'],
    ] as const) {
      expect((await ended(startWorker([], env))).code).toBe(78);
      expect(await pod.result()).toMatchObject({ reason: expect.stringContaining(reason) });
    }
  });
});

test('Without a result file that can be written, the exit codes are the same', async () => {
  const pod = await podWithFiles([aRecord(GOOD)]);
  await rm(pod.resultFile);
  const done = await ended(startWorker([], pod.env));
  expect(done.code).toBe(0);
  expect(done.stdout).toContain('result file not written');
  await mkdir(pod.resultFile);
  await writeFile(join(pod.storage, 'in/a.csv'), 'no header');
  expect((await ended(startWorker([], pod.env))).code).toBe(65);
});

test('A storage root that only others may write is a wrong set-up', async () => {
  const pod = await podWithFiles([aRecord(GOOD)]);
  await chmod(pod.storage, 0o555);
  // Root may write everywhere, so the worker runs as the user of its image.
  const identity = process.getuid?.() === 0 ? { uid: 65532, gid: 65532 } : {};
  await chmod(pod.directory, 0o755);
  const { code, stdout } = await ended(startWorker([], pod.env, identity));
  expect(code).toBe(78);
  expect(stdout).toContain('storage root cannot be used: EACCES');
});

test('A messages file that no operator writes is a wrong set-up, and is not read', async () => {
  const pod = await podWithFiles([aRecord(GOOD)]);
  await writeFile(pod.env['BATCHQUEUE_MESSAGES_FILE'] ?? '', '['.repeat(5 * 1024 * 1024));
  expect((await ended(startWorker([], pod.env))).code).toBe(78);
  expect(await pod.result()).toMatchObject({
    reason: expect.stringContaining('got 5242880 bytes, allowed: at most 4194304'),
  });
});

describe('The limits of a worker', () => {
  test.each([
    ['BATCHQUEUE_MAX_INPUT_BYTES', '20', {}, 'input in/a.csv: got 25 bytes, allowed: at most 20'],
    ['BATCHQUEUE_MAX_COLUMNS', '1', { onInvalidRow: 'reject' }, 'line 1: got 2 columns, allowed: at most 1'],
  ])('are set by the environment: %s=%s', async (name, value, more, reason) => {
    const pod = await podWithFiles([aRecord({ ...GOOD, ...more })]);
    expect((await ended(startWorker([], { ...pod.env, [name]: value }))).code).toBe(65);
    expect(await pod.result()).toMatchObject({
      rejectedIndexes: '0',
      reason: expect.stringContaining(reason),
    });
  });

  test('that are no numbers are a wrong set-up, all told at once', async () => {
    const pod = await podWithFiles([aRecord(GOOD)]);
    const wrong = {
      BATCHQUEUE_MAX_INPUT_BYTES: '1GB',
      BATCHQUEUE_MAX_COLUMNS: '0',
      BATCHQUEUE_TRANSFORM: 'relative.mjs',
    };
    expect((await ended(startWorker([], { ...pod.env, ...wrong }))).code).toBe(78);
    expect(await pod.result()).toMatchObject({
      reason: expect.stringMatching(
        /BATCHQUEUE_TRANSFORM.*BATCHQUEUE_MAX_INPUT_BYTES.*BATCHQUEUE_MAX_COLUMNS/,
      ),
    });
  });
});
