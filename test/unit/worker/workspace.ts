/** Directories and processes for worker tests. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { afterAll, jest } from '@jest/globals';

const MAIN = resolve(import.meta.dirname, '../../../worker/main.ts');

// Starting a process takes a fraction of a second, but many times that on a machine that is busy.
jest.setTimeout(60_000);

const made: string[] = [];
afterAll(() => Promise.all(made.map((directory) => rm(directory, { recursive: true, force: true }))));

/** A new empty directory without symbolic links in its path, removed after the tests of the file. */
export async function workspace(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'batchqueue-worker-'));
  made.push(directory);
  return directory;
}

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export type Worker = ChildProcessByStdio<null, Readable, Readable>;

/** How a worker is started, besides its arguments and environment. */
export interface Start {
  readonly cwd?: string;
  readonly uid?: number;
  readonly gid?: number;
  /** Limit on the size of any file it writes, in blocks of `ulimit -f`. */
  readonly fileSizeBlocks?: number;
}

/** Starts the real worker with exactly this environment. */
export function startWorker(args: readonly string[], env: NodeJS.ProcessEnv = {}, start: Start = {}): Worker {
  const { fileSizeBlocks, ...rest } = start;
  const command = [process.execPath, MAIN, ...args];
  const limited =
    fileSizeBlocks === undefined
      ? command
      : ['sh', '-c', `ulimit -f ${fileSizeBlocks}; exec "$@"`, 'sh', ...command];
  const [file = '', ...fileArgs] = limited;
  return spawn(file, fileArgs, { cwd: tmpdir(), ...rest, env, stdio: ['ignore', 'pipe', 'pipe'] });
}

/** What a worker said and how it ended. */
export async function ended(worker: Worker): Promise<Ended> {
  const [stdout, stderr] = await Promise.all([
    text(worker.stdout),
    text(worker.stderr),
    worker.exitCode === null && worker.signalCode === null ? once(worker, 'exit') : undefined,
  ]);
  return { code: worker.exitCode, signal: worker.signalCode, stdout, stderr };
}

/** A pod's files: a storage root, a messages file with these records, a result file as the kubelet makes it. */
export async function podWith(records: unknown) {
  const directory = await workspace();
  const storage = join(directory, 'storage');
  const messagesFile = join(directory, 'messages.json');
  const resultFile = join(directory, 'termination-log');

  await mkdir(join(storage, 'in'), { recursive: true });
  await writeFile(messagesFile, typeof records === 'string' ? records : JSON.stringify(records));
  await writeFile(resultFile, '');
  const env: NodeJS.ProcessEnv = {
    BATCHQUEUE_MESSAGES_FILE: messagesFile,
    BATCHQUEUE_STORAGE_PATH: storage,
    BATCHQUEUE_RESULT_FILE: resultFile,
    BATCHQUEUE_NAME: 'orders',
    BATCHQUEUE_NAMESPACE: 'default',
  };
  return {
    directory,
    storage,
    resultFile,
    env,
    result: async () => JSON.parse(await readFile(resultFile, 'utf8')) as unknown,
  };
}

/** One record of a messages file, as the operator writes it. */
export function aRecord(body: unknown, messageId = '11111111-2222-3333-4444-555555555555') {
  return {
    messageId,
    body: typeof body === 'string' ? body : JSON.stringify(body),
    attributes: { SentTimestamp: '1700000000000', ApproximateReceiveCount: '1' },
    messageAttributes: {},
    attempt: 1,
  };
}

/** Names in a directory, sorted. */
export async function namesIn(directory: string): Promise<string[]> {
  return (await readdir(directory)).sort();
}

/** Resolves as soon as `condition` does not return undefined; the test's own time limit is the only bound. */
export async function eventually<T>(condition: () => Promise<T | undefined>): Promise<T> {
  for (;;) {
    const value = await condition();
    if (value !== undefined) return value;
    await new Promise((next) => setImmediate(next));
  }
}
