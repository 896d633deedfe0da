import { spawn, spawnSync } from 'node:child_process';
import { open, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { aRecord, ended, eventually, namesIn, podWith, workspace } from './workspace.ts';

const EXAMPLES = resolve(import.meta.dirname, '../../../docs/examples');

interface Example {
  readonly language: string;
  readonly command: readonly [string, ...string[]];
  /** A program without which the example cannot run here. */
  readonly needs: string;
}

const EXAMPLE_WORKERS: readonly Example[] = [
  {
    language: 'TypeScript',
    command: [process.execPath, join(EXAMPLES, 'typescript/worker.ts')],
    needs: process.execPath,
  },
  { language: 'Python', command: ['python3', join(EXAMPLES, 'python/worker.py')], needs: 'python3' },
  { language: 'shell', command: ['sh', join(EXAMPLES, 'shell/worker.sh')], needs: 'jq' },
  ...ownExample(process.env['BATCHQUEUE_EXAMPLE']),
];

/** A worker of one's own that does what the examples do, named by its command line (docs/workers.md). */
function ownExample(commandLine: string | undefined): readonly Example[] {
  const [program, ...args] = commandLine?.split(' ') ?? [];
  return program === undefined ? [] : [{ language: program, command: [program, ...args], needs: program }];
}

/** A file without contents on the disk that takes far longer to read than a signal to arrive. */
const HUGE_BYTES = 64 * 1024 ** 3;

const GOOD = { input: 'in/a.txt', output: 'out/deep/a.count' };

for (const { language, command, needs } of EXAMPLE_WORKERS) {
  const isThere = spawnSync(needs, ['--version']).status === 0;

  /** Starts the example in a pod's files. */
  async function start(records: unknown, more: NodeJS.ProcessEnv = {}) {
    const pod = await podWith(records);
    await writeFile(join(pod.storage, 'in/a.txt'), 'one\ntwo\nthree\n');
    const huge = await open(join(pod.storage, 'in/huge'), 'w');
    await huge.truncate(HUGE_BYTES);
    await huge.close();
    const env = { PATH: process.env['PATH'], ...pod.env, ...more };
    const [file, ...args] = command;
    return { pod, worker: spawn(file, args, { env, stdio: ['ignore', 'pipe', 'pipe'] }) };
  }

  async function run(records: unknown, more: NodeJS.ProcessEnv = {}) {
    const { pod, worker } = await start(records, more);
    const { code, stderr } = await ended(worker);
    return { code, stderr, pod, result: await pod.result() };
  }

  (isThere ? describe : describe.skip)(`The example in ${language} (needs ${needs})`, () => {
    test('does its work, names it as succeeded and exits with 0', async () => {
      const { code, stderr, pod, result } = await run([aRecord(GOOD)]);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(await readFile(join(pod.storage, 'out/deep/a.count'), 'utf8')).toBe('3\n');
      expect(await namesIn(join(pod.storage, 'out/deep'))).toEqual(['a.count']);
      expect(result).toMatchObject({ succeededIndexes: '0', rejectedIndexes: '' });
    });

    test('tells of a batch which messages succeeded and which can never succeed', async () => {
      const { code, pod, result } = await run([
        aRecord({ ...GOOD, output: '0' }),
        aRecord({ input: 'in/none.txt', output: 'b' }),
        aRecord({ ...GOOD, output: '2' }),
        aRecord('no JSON'),
      ]);
      expect(code).toBe(65);
      expect(result).toMatchObject({
        succeededIndexes: expect.stringMatching(/^0,2$/),
        rejectedIndexes: expect.stringMatching(/^1,3$/),
        reason: expect.stringContaining('body'),
      });
      expect(await namesIn(pod.storage)).toEqual(['0', '2', 'in']);
    });

    test.each<[string, unknown, number]>([
      ['a body that is no object', '[]', 65],
      ['a missing field', { input: 'in/a.txt' }, 65],
      ['an input outside the storage', { input: '../messages.json', output: 'b' }, 65],
      ['an output outside the storage', { input: 'in/a.txt', output: '../b' }, 65],
      ['an absolute output', { input: 'in/a.txt', output: '/tmp/batchqueue-b' }, 65],
      ['a failed file operation', { input: 'in/a.txt', output: 'in/a.txt/b' }, 75],
    ])('for %s exits with the contract code', async (_name, body, expected) => {
      const { code, pod } = await run([aRecord(body)]);
      expect(code).toBe(expected);
      expect(await namesIn(join(pod.storage, 'in'))).toEqual(['a.txt', 'huge']);
    });

    test('exits with 78 when it finds no messages or no storage', async () => {
      expect((await run([aRecord(GOOD)], { BATCHQUEUE_MESSAGES_FILE: '/nowhere' })).code).toBe(78);
      expect((await run([aRecord(GOOD)], { BATCHQUEUE_STORAGE_PATH: undefined })).code).toBe(78);
    });

    test('works on the one message of its index', async () => {
      const records = [aRecord('no JSON'), aRecord(GOOD), aRecord('no JSON')];
      const { code, result } = await run(records, { JOB_COMPLETION_INDEX: '1' });
      expect(code).toBe(0);
      expect(result).toMatchObject({ succeededIndexes: '1', rejectedIndexes: '' });
      expect((await run(records, { JOB_COMPLETION_INDEX: '3' })).code).toBe(78);
    });

    test('reads a body from its own file', async () => {
      const { body: _body, ...record } = aRecord(GOOD);
      const bodyFile = join(await workspace(), 'body');
      await writeFile(bodyFile, JSON.stringify(GOOD));
      const { code, pod } = await run([{ ...record, bodyFile }]);
      expect(code).toBe(0);
      expect(await readFile(join(pod.storage, 'out/deep/a.count'), 'utf8')).toBe('3\n');
    });

    test('stops at the first failed message of a FIFO queue', async () => {
      const fifo = (body: object, number: string) => ({
        ...aRecord(body),
        attributes: { SequenceNumber: number },
      });
      const { code, pod, result } = await run([
        fifo({ ...GOOD, output: '0' }, '1'),
        fifo({ input: 'in/none.txt', output: '1' }, '2'),
        fifo({ ...GOOD, output: '2' }, '3'),
      ]);
      expect(code).toBe(65);
      expect(result).toMatchObject({ succeededIndexes: '0', rejectedIndexes: '1' });
      expect(await namesIn(pod.storage)).toEqual(['0', 'in']);
    });

    test('is told to stop by SIGTERM: exits with 75, names what it finished, leaves no temporary file', async () => {
      const records = [
        aRecord({ ...GOOD, output: 'first' }),
        aRecord({ ...GOOD, output: 'second' }),
        aRecord({ input: 'in/huge', output: 'third' }),
      ];
      const { pod, worker } = await start(records);
      await eventually(async () => (await namesIn(pod.storage)).includes('second') || undefined);
      worker.kill('SIGTERM');
      expect((await ended(worker)).code).toBe(75);
      expect(await namesIn(pod.storage)).toEqual(['first', 'in', 'second']);
      expect(await pod.result()).toMatchObject({
        // The second stands under its name, but may not have been safely on the disk when the signal came.
        succeededIndexes: expect.stringMatching(/^0([-,]1)?$/),
        rejectedIndexes: '',
        reason: expect.stringContaining('SIGTERM'),
      });
    });
  });
}
