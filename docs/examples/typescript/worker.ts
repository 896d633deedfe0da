/**
 * A complete worker in TypeScript: counts the lines of a file. Body: {"input": path, "output": path}.
 * The contract (worker/contract) does the rest: messages, index, exit code, result file, SIGTERM.
 */
import { randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, realpath, rename, rm } from 'node:fs/promises';
import { dirname, join, resolve, sep } from 'node:path';
import { storageRootOf } from '../../../worker/contract/environment.ts';
import { errnoOf, WorkerError } from '../../../worker/contract/errors.ts';
import { runMessages, type Work } from '../../../worker/contract/run.ts';
import { stopSignal } from '../../../worker/contract/stop-signal.ts';

let linesTotal = 0;

/** Checks the set-up once; what it returns is called for every message. */
async function start(): Promise<Work> {
  const root = await realpath(storageRootOf(process.env)).catch((error: unknown) => {
    throw new WorkerError('misconfigured', 'the storage is missing', error);
  });
  return async ({ body }, signal) => {
    const { input, output } = taskFrom(body);
    const source = await inside(root, input).catch((error: unknown) => {
      if (errnoOf(error) === 'ENOENT') throw new WorkerError('reject', `input ${input} does not exist`);
      throw error;
    });
    const count = await countLines(source, signal);
    await publish(await targetInside(root, output), `${count}\n`);
    linesTotal += count;
  };
}

function taskFrom(body: string): { readonly input: string; readonly output: string } {
  try {
    const task: unknown = JSON.parse(body);
    if (typeof task === 'object' && task !== null && 'input' in task && 'output' in task) {
      const { input, output } = task;
      if (typeof input === 'string' && typeof output === 'string') return { input, output };
    }
  } catch {
    // Not JSON: refused below, without the parser's words, which quote the body.
  }
  throw new WorkerError('reject', 'body must be {"input": path, "output": path}');
}

/** The real path of a file below the root. */
async function inside(root: string, path: string): Promise<string> {
  const real = await realpath(resolve(root, path));
  if (!real.startsWith(root + sep)) throw new WorkerError('reject', 'a path leaves the storage');
  return real;
}

/** As `inside`, for a file that need not exist yet; makes its directories. */
async function targetInside(root: string, path: string): Promise<string> {
  const target = resolve(root, path);
  if (!target.startsWith(root + sep)) throw new WorkerError('reject', 'a path leaves the storage');
  await mkdir(dirname(target), { recursive: true });
  const directory = await realpath(dirname(target));
  if (`${directory}${sep}`.startsWith(root + sep)) return target;
  throw new WorkerError('reject', 'a path leaves the storage');
}

async function countLines(path: string, signal: AbortSignal): Promise<number> {
  let count = 0;
  for await (const block of createReadStream(path, { signal })) {
    const bytes: Buffer = block;
    for (let at = bytes.indexOf(10); at !== -1; at = bytes.indexOf(10, at + 1)) count += 1;
  }
  return count;
}

/** Readers see the old file or the whole new one. */
async function publish(path: string, text: string): Promise<void> {
  const temporary = join(dirname(path), `.${randomUUID()}.tmp`);
  try {
    const file = await open(temporary, 'wx');
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  const directory = await open(dirname(path), 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

process.exitCode = await runMessages(
  process.env,
  {
    start,
    summary: () => ({ lines: linesTotal }),
    failed: ({ verdict, reason, record }) =>
      console.error(JSON.stringify({ verdict, reason, messageId: record?.messageId })),
    note: (text, error) => console.error(JSON.stringify({ text, error: String(error) })),
  },
  stopSignal(),
);
