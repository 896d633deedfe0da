import { readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { aRecord, podWith, startWorker, type Worker } from './workspace.ts';

const DOCKERFILE = resolve(import.meta.dirname, '../../../Dockerfile.worker');
const MIB = 1024 ** 2;

/** What the image gives to Node: everything between `node` and the program. */
async function flagsOfImage(): Promise<string> {
  const entry = /^ENTRYPOINT \["node", (.*), "\/app\/worker\.mjs"\]$/m.exec(
    await readFile(DOCKERFILE, 'utf8'),
  );
  return (entry?.[1] ?? '').replaceAll(/[",]/g, '');
}

/** The most memory a process had at any time, in MiB, as far as it was looked at; it only grows. */
async function peakOf(worker: Worker): Promise<number> {
  let peakKib = 0;
  const ended = new Promise((end) => worker.once('exit', end));
  worker.stdout.resume();
  for (let isOver = false; !isOver; ) {
    const status = await readFile(`/proc/${worker.pid}/status`, 'utf8').catch(() => '');
    peakKib = Math.max(peakKib, Number(/^VmHWM:\s*(\d+) kB/m.exec(status)?.[1] ?? 0));
    isOver = await Promise.race([
      ended.then(() => true),
      new Promise<boolean>((next) => setTimeout(next, 20, false)),
    ]);
  }
  return peakKib / 1024;
}

const BODY = { input: 'in/a.csv', output: 'out/a.csv' };
const REJECT = { ...BODY, onInvalidRow: 'reject' };

(process.platform === 'linux' ? describe : describe.skip)('With the flags of its image the worker', () => {
  test.each<[string, string, object]>([
    ['the shortest rows', `ID,Value\n${',1\n'.repeat(1_000_000)}`, BODY],
    ['only rows that are left to csv-parse', `ID,Value\n${',1e1\n'.repeat(300_000)}`, BODY],
    ['rows of a megabyte', `ID,Value\n${`${'x'.repeat(MIB - 20)},1\n`.repeat(12)}`, BODY],
    ['rows of a megabyte of quotes', `ID,Value\n${`"${'""'.repeat(MIB / 2 - 20)}",1\n`.repeat(6)}`, REJECT],
    ['rows of a million fields', `ID,Value\n${`${','.repeat(MIB - 10)}\n`.repeat(4)}`, REJECT],
    ['a line of fields without end', `ID,Value\n${','.repeat(24 * MIB)}\n1,2\n`, REJECT],
    ['blank lines without end', `ID,Value\n${'\n'.repeat(24 * MIB)}1,2\n`, REJECT],
    ['only bad rows', `ID,Value\n${'x,y\n'.repeat(100_000)}`, REJECT],
    ['a quote on every line', `ID,Value\n${`"${'x'.repeat(70)}\n`.repeat(10_000)}`, REJECT],
  ])('needs less than 200 MiB for %s', async (_name, text, body) => {
    const pod = await podWith([aRecord(body)]);
    await writeFile(join(pod.storage, 'in/a.csv'), text);
    // Node takes V8's flags from there; the other one is no matter of memory.
    const flags = (await flagsOfImage()).split(' ').filter((flag) => flag.startsWith('--max-'));
    expect(flags).toHaveLength(2);
    const worker = startWorker([], { ...pod.env, NODE_OPTIONS: flags.join(' ') });
    const peakMiB = await peakOf(worker);
    expect(worker.exitCode).toBe(0);
    expect(peakMiB).toBeGreaterThan(30);
    expect(peakMiB).toBeLessThan(200);
  });
});
