import { copyFile, mkdir, readFile, rename, rm, stat, truncate, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from '@jest/globals';
import { sweepLeftovers, temporaryTag } from '../../../worker/leftovers.ts';
import { aRecord, ended, namesIn, podWith, startWorker, workspace } from './workspace.ts';

const ID = '11111111-2222-3333-4444-555555555555';
const BODY = { input: 'in/a.csv', output: 'out/a.csv', onInvalidRow: 'reject' };

let pod: Awaited<ReturnType<typeof podWith>>;
let output: string;
let input: string;
beforeEach(async () => {
  pod = await podWith([aRecord(BODY)]);
  input = join(pod.storage, 'in/a.csv');
  output = join(pod.storage, 'out/a.csv');
  await writeFile(input, 'ID,Value\n1,10\n2,x\n3,30\n');
});

/** Runs the message; whether it was done already, and when the output was last replaced. */
async function run() {
  const { code, stdout } = await ended(startWorker([], pod.env));
  expect(code).toBe(0);
  const words = [...stdout.matchAll(/"msg":"(.*?)"/g)].map(([, word]) => word);
  return { words, ino: (await stat(output)).ino, text: await readFile(output, 'utf8') };
}

const FOUND = ['already published'];
const DONE = ['published'];

describe('A second run of the same message', () => {
  test('finds the work done, touches nothing and reports the same figures', async () => {
    const first = await run();
    const figures = { summary: { rowsIn: 3, rowsOut: 2, rowsRejected: 1 }, succeededIndexes: '0' };
    expect(await pod.result()).toMatchObject(figures);
    const second = await run();
    expect(second).toEqual({ ...first, words: FOUND });
    expect(first.words).toEqual(DONE);
    expect(await pod.result()).toMatchObject(figures);
    expect(await namesIn(join(pod.storage, 'out'))).toEqual(['a.csv', 'a.csv.rejected.csv']);
  });

  test('keeps what it needs in one file named by the message', async () => {
    await run();
    const text = await readFile(join(pod.storage, '.batchqueue', `${ID}.json`), 'utf8');
    expect(JSON.parse(text)).toMatchObject({
      messageId: ID,
      outputs: [{ path: 'out/a.csv', sha256: expect.stringMatching(/^[0-9a-f]{64}$/) }, {}],
      totals: { rowsOut: 2 },
    });
  });

  test('does not need the input any more', async () => {
    await run();
    await rm(input);
    expect((await run()).words).toEqual(FOUND);
  });

  test('knows an output again that was copied back, by its contents', async () => {
    await run();
    await copyFile(output, `${output}.backup`);
    await rename(`${output}.backup`, output);
    await utimes(output, 1, 1);
    expect((await run()).words).toEqual(FOUND);
  });

  test.each<[string, () => Promise<unknown>]>([
    ['the output is missing', () => rm(output)],
    [
      'the output was changed',
      async () => writeFile(output, (await readFile(output, 'utf8')).replace('1', '7')),
    ],
    ['the output was cut off', () => truncate(output, 30)],
    ['the file of bad rows is missing', () => rm(`${output}.rejected.csv`)],
    [
      'the manifest is damaged',
      () => writeFile(join(pod.storage, '.batchqueue', `${ID}.json`), '{"messageId"'),
    ],
    ['the manifest is missing', () => rm(join(pod.storage, '.batchqueue'), { recursive: true })],
  ])('does the work again when %s', async (_name, damage) => {
    const first = await run();
    await damage();
    const { words, text } = await run();
    expect({ words, text }).toEqual({ words: DONE, text: first.text });
    expect((await run()).words).toEqual(FOUND);
  });

  test('does the work again when the input was replaced, or the message asks for something else', async () => {
    await run();
    await writeFile(input, 'ID,Value\n1,11\n');
    expect(await run()).toMatchObject({ words: DONE, text: expect.stringMatching(/^.*\n1,11,.*\n$/) });
    await writeFile(
      pod.env['BATCHQUEUE_MESSAGES_FILE'] ?? '',
      JSON.stringify([aRecord({ ...BODY, seed: 's' })]),
    );
    expect((await run()).words).toEqual(DONE);
  });
});

test('A manifest that cannot be written is told, and the work stays done', async () => {
  await mkdir(join(pod.storage, '.batchqueue', `${ID}.json`), { recursive: true });
  const { words, text } = await run();
  expect(words).toEqual(['manifest not written', 'published']);
  expect(text).toMatch(/^ID,Value,ProcessedValue\n1,10,/);
});

describe('Temporary files of earlier attempts', () => {
  const own = temporaryTag({ messageId: ID, attempt: 2 });
  const [message = '', , host = '', pid = ''] = own.split('-');
  const file = (tag: string) => `.a.csv.${tag}.0123456789abcdef.tmp`;
  const alive = process.ppid;

  test.each<[string, string, boolean]>([
    ['of an earlier attempt', `${message}-1-00000000-7`, true],
    ['of a process of this host that has ended', `${message}-2-${host}-4194999`, true],
    ['of a container before this one with the same process number', `${message}-2-${host}-${pid}`, true],
    ['of a process of this host that runs', `${message}-2-${host}-${alive}`, false],
    ['of the same attempt on another host', `${message}-2-00000000-7`, false],
    ['of a later attempt', `${message}-3-00000000-7`, false],
    ['of another message', `${'0'.repeat(16)}-1-${host}-4194999`, false],
  ])('%s', async (_name, tag, isSwept) => {
    const root = await workspace();
    await writeFile(join(root, file(tag)), 'half');
    await writeFile(join(root, '.a.csv.0123456789abcdef.tmp'), 'of somebody else');
    await sweepLeftovers([{ root, relative: 'a.csv', shown: 'a.csv' }], { messageId: ID, attempt: 2 });
    expect((await namesIn(root)).includes(file(tag))).toBe(!isSwept);
    expect(await namesIn(root)).toContain('.a.csv.0123456789abcdef.tmp');
  });

  test('of the same attempt on another host go when nobody has written to them for an hour', async () => {
    const root = await workspace();
    const path = join(root, file(`${message}-2-00000000-7`));
    await writeFile(path, 'half');
    await utimes(path, new Date(), new Date(Date.now() - 2 * 60 * 60 * 1000));
    await sweepLeftovers([{ root, relative: 'a.csv', shown: 'a.csv' }], { messageId: ID, attempt: 2 });
    expect(await namesIn(root)).toEqual([]);
  });

  test('have names that fit, whatever the host and the output are called', () => {
    expect(own.length).toBeLessThanOrEqual(64);
    expect(own).not.toContain(hostname());
  });
});
