import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from '@jest/globals';
import { WorkerError } from '../../../../worker/contract/errors.ts';
import type { MessageRecord } from '../../../../worker/contract/messages.ts';
import { type Failure, runMessages, type Work } from '../../../../worker/contract/run.ts';
import { workspace } from '../workspace.ts';

let directory: string;
let env: Record<string, string>;
beforeEach(async () => {
  directory = await workspace();
  env = {
    BATCHQUEUE_MESSAGES_FILE: join(directory, 'messages.json'),
    BATCHQUEUE_RESULT_FILE: join(directory, 'result'),
  };
  await writeFile(join(directory, 'result'), '');
});

interface Case {
  readonly work?: Work;
  readonly start?: () => Promise<Work>;
  readonly signal?: AbortSignal;
}

/** Runs a program over the records; what it saw, told and left. */
async function run(records: unknown, { work = async () => undefined, start, signal }: Case = {}) {
  await writeFile(join(directory, 'messages.json'), JSON.stringify(records));
  const seen: MessageRecord[] = [];
  const failures: Failure[] = [];
  const program = {
    start:
      start ??
      (async (): Promise<Work> => async (record, stop) => {
        seen.push(record);
        await work(record, stop);
      }),
    summary: () => ({ rowsIn: 7 }),
    failed: (failure: Failure) => void failures.push(failure),
    note: () => undefined,
  };
  const code = await runMessages(env, program, signal ?? new AbortController().signal);
  const result: unknown = JSON.parse(await readFile(join(directory, 'result'), 'utf8'));
  return { code, seen, failures, result };
}

const record = (messageId: string, more: object = { body: `body of ${messageId}` }) => ({
  messageId,
  ...more,
});
const THREE = [record('m-0'), record('m-1'), record('m-2')];

describe('A run of the contract', () => {
  test('works on every record in order and names them as succeeded', async () => {
    const { code, seen, result } = await run(THREE);
    expect(code).toBe(0);
    expect(seen.map(({ body }) => body)).toEqual(['body of m-0', 'body of m-1', 'body of m-2']);
    expect(result).toEqual({
      succeededIndexes: '0-2',
      rejectedIndexes: '',
      summary: { rowsIn: 7, seconds: expect.any(Number) },
    });
  });

  test('tells a failing exit code and both lists when only a part succeeded', async () => {
    const verdicts: Record<string, Error> = {
      'm-0': new WorkerError('reject', 'bad'),
      'm-1': new Error('lost connection'),
    };
    const { code, failures, result } = await run(THREE, {
      work: async ({ messageId }) => {
        const error = verdicts[messageId];
        if (error !== undefined) throw error;
      },
    });
    expect(code).toBe(75);
    expect(result).toMatchObject({
      succeededIndexes: '2',
      rejectedIndexes: '0',
      reason: 'message 0: bad; message 1: lost connection',
    });
    expect(failures.map(({ verdict, record: of }) => [verdict, of?.messageId])).toEqual([
      ['reject', 'm-0'],
      ['retry', 'm-1'],
    ]);
  });

  test('of a batch tells the longest time that a failure wants to wait', async () => {
    const { code, result } = await run(THREE, {
      work: async ({ messageId }) => {
        if (messageId === 'm-0') throw new WorkerError('retry', 'busy', undefined, 30);
        if (messageId === 'm-1') throw new WorkerError('retry', 'closed', undefined, 120);
      },
    });
    expect(code).toBe(75);
    expect(result).toMatchObject({ succeededIndexes: '2', rejectedIndexes: '', retryAfterSeconds: 120 });
  });

  test.each([
    ['retry', 75, ''],
    ['reject', 65, '1'],
  ] as const)(
    'of a FIFO queue ends at the first record that fails (%s), so that none overtakes it',
    async (verdict, expected, rejectedIndexes) => {
      const numbered = THREE.map((one, index) => ({ ...one, attributes: { SequenceNumber: `${index}` } }));
      const { code, seen, result } = await run(numbered, {
        work: async ({ messageId }) => {
          if (messageId === 'm-1') throw new WorkerError(verdict, 'no');
        },
      });
      expect({ code, seen: seen.length }).toEqual({ code: expected, seen: 2 });
      expect(result).toMatchObject({ succeededIndexes: '0', rejectedIndexes });
    },
  );

  test('takes a batch of a hundred, and names what succeeded in any pattern', async () => {
    const hundred = Array.from({ length: 100 }, (_, index) => record(`m-${index}`));
    const { code, result } = await run(hundred, {
      work: async ({ messageId }) => {
        const index = Number(messageId.slice(2));
        if (index % 2 === 1)
          throw new WorkerError('reject', 'a reason that is longer than forty bytes, each');
      },
    });
    expect(code).toBe(65);
    expect(result).toMatchObject({
      succeededIndexes: Array.from({ length: 50 }, (_, index) => 2 * index).join(','),
      rejectedIndexes: Array.from({ length: 50 }, (_, index) => 2 * index + 1).join(','),
      reason: expect.stringContaining('message 1: '),
    });
  });

  test('reads a body that has a file of its own, beside the messages file or at an absolute path', async () => {
    await mkdir(join(directory, 'bodies'));
    const large = `"${'é'.repeat(512 * 1024 - 1)}"`;
    await writeFile(join(directory, 'body'), large);
    await writeFile(join(directory, 'bodies/1'), 'one');
    const { code, seen } = await run([
      record('m-0', { bodyFile: 'body' }),
      record('m-1', { bodyFile: join(directory, 'bodies/1') }),
    ]);
    expect(code).toBe(0);
    expect(seen.map(({ body }) => body)).toEqual([large, 'one']);
  });

  test('of an index works on the one record that JOB_COMPLETION_INDEX selects', async () => {
    env['JOB_COMPLETION_INDEX'] = '1';
    const { code, seen, result } = await run(THREE);
    expect(code).toBe(0);
    expect(seen.map(({ messageId }) => messageId)).toEqual(['m-1']);
    expect(result).toMatchObject({ succeededIndexes: '1', rejectedIndexes: '' });
  });

  test.each([
    ['3', 'JOB_COMPLETION_INDEX is 3, but'],
    ['x', 'JOB_COMPLETION_INDEX must be a number'],
    ['-1', 'JOB_COMPLETION_INDEX must be a number'],
  ])('of the index %s, which no record has, is set up wrongly', async (index, reason) => {
    env['JOB_COMPLETION_INDEX'] = index;
    const { code, seen, result } = await run(THREE);
    expect({ code, seen }).toEqual({ code: 78, seen: [] });
    expect(result).toMatchObject({ reason: expect.stringContaining(reason) });
  });

  test.each<[string, unknown]>([
    ['0.body', [record('m', {})]],
    ['0.body', [record('m', { body: 1 })]],
    ['0.body', [record('m', { body: 1, bodyFile: 'b' })]],
    ['0.messageId', [{ body: 'x' }]],
    ['0.messageId', [null]],
    ['body file cannot be read', [record('m', { bodyFile: 'none' })]],
    ['the whole', {}],
  ])('with a messages file that is wrong at %s is set up wrongly', async (place, records) => {
    const { code, result } = await run(records);
    expect(code).toBe(78);
    expect(result).toMatchObject({ reason: expect.stringContaining(place) });
  });

  test('stops at a wrong set-up and keeps what was done before it', async () => {
    const { code, seen, result } = await run(THREE, {
      work: async ({ messageId }) => {
        if (messageId === 'm-1') throw new WorkerError('misconfigured', 'read-only');
      },
    });
    expect({ code, seen: seen.length }).toEqual({ code: 78, seen: 2 });
    expect(result).toMatchObject({ succeededIndexes: '0', rejectedIndexes: '', reason: 'read-only' });
  });

  test('that is told to stop ends with 75 and says so, whatever its work throws then', async () => {
    const stop = new AbortController();
    const { code, seen, result } = await run(THREE, {
      signal: stop.signal,
      work: async ({ messageId }) => {
        if (messageId !== 'm-1') return;
        stop.abort(new WorkerError('retry', 'stopped by SIGTERM before the end'));
        throw new WorkerError('reject', 'half read');
      },
    });
    expect({ code, seen: seen.length }).toEqual({ code: 75, seen: 2 });
    expect(result).toMatchObject({
      succeededIndexes: '0',
      rejectedIndexes: '',
      reason: 'stopped by SIGTERM before the end',
    });
  });

  test('tells everything that is wrong with the set-up at once', async () => {
    const { code, result } = await run([], {
      start: () => Promise.reject(new WorkerError('misconfigured', 'no model file')),
    });
    expect(code).toBe(78);
    expect(result).toMatchObject({ reason: expect.stringMatching(/at least one record.*; no model file$/) });
  });
});

test('The contract imports nothing but Node and itself, so that its folder can be copied', async () => {
  const folder = join(import.meta.dirname, '../../../../worker/contract');
  const names = [
    'environment',
    'errors',
    'exit-codes',
    'index-list',
    'messages',
    'result',
    'run',
    'stop-signal',
  ];
  const texts = await Promise.all(names.map((name) => readFile(join(folder, `${name}.ts`), 'utf8')));
  const imports = texts.flatMap((text) => [...text.matchAll(/from '(.*?)'/g)].map(([, from = '']) => from));
  expect(imports.length).toBeGreaterThan(10);
  expect(imports.filter((from) => !/^node:|^\.\/[a-z-]+\.ts$/.test(from))).toEqual([]);
});
