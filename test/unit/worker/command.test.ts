import { copyFile, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from '@jest/globals';
import { ended, eventually, namesIn, startWorker, workspace } from './workspace.ts';

const INPUT =
  'ID,Value\n1,100.5\n2,200.3\n3,150.2\n4,400.6\n5,300.1\n6,250.4\n7,350.7\n8,450.9\n9,500.0\n10,600.8\n';

let cwd: string;
beforeEach(async () => {
  cwd = await workspace();
  await writeFile(join(cwd, 'input.csv'), INPUT);
});

const run = async (...args: string[]) => ended(startWorker(args, {}, { cwd }));
const output = async (name: string) => readFile(join(cwd, name), 'utf8');

describe('The plain command', () => {
  test('turns input.csv into output.csv with every factor within 0.8 and 1.2', async () => {
    const { code, stdout, stderr } = await run('input.csv', 'output.csv');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^output\.csv: 10 rows, \d+ bytes written in [\d.]+ s\n$/);
    const [header, ...rows] = (await output('output.csv')).trimEnd().split('\n');
    expect(header).toBe('ID,Value,ProcessedValue');
    expect(rows.map((row) => row.replace(/,[^,]*$/, ''))).toEqual(INPUT.trimEnd().split('\n').slice(1));
    for (const row of rows) {
      const [, value = 0, processed = 0] = row.split(',').map(Number);
      expect(processed / value >= 0.8 - 1e-15 && processed / value < 1.2 + 1e-15).toBe(true);
    }
  });

  test('draws from the name of the input unless a seed is given', async () => {
    await run('input.csv', '1.csv');
    await run(join(cwd, 'input.csv'), '2.csv');
    await copyFile(join(cwd, 'input.csv'), join(cwd, 'copy.csv'));
    await run('copy.csv', '3.csv');
    await run('copy.csv', '4.csv', '--seed', 'input.csv');
    const [first, second, third, fourth] = await Promise.all(
      ['1', '2', '3', '4'].map((name) => output(`${name}.csv`)),
    );
    expect([second, fourth]).toEqual([first, first]);
    expect(third).not.toBe(first);
  });

  test('writes to where a symbolic link leads', async () => {
    await writeFile(join(cwd, 'real.csv'), 'old');
    await symlink('real.csv', join(cwd, 'link.csv'));
    expect((await run('input.csv', 'link.csv')).code).toBe(0);
    expect(await output('real.csv')).toMatch(/^ID,Value,ProcessedValue\n/);
  });

  test('prints its usage and exits with 64 when called wrongly, with 0 for --help', async () => {
    for (const args of [[], ['a'], ['a', 'b', 'c'], ['a', 'b', '--speed', '1'], ['a', 'b', '--seed']]) {
      const { code, stdout, stderr } = await run(...args);
      expect({ code, stdout }).toEqual({ code: 64, stdout: '' });
      expect(stderr).toContain('usage: batchqueue-worker <input.csv> <output.csv> [--seed <text>]');
    }
    const help = await run('--help');
    expect(help).toMatchObject({
      code: 0,
      stderr: '',
      stdout: expect.stringContaining('usage: batchqueue-worker'),
    });
  });

  test('complains on stderr and leaves nothing behind', async () => {
    await writeFile(join(cwd, 'bad.csv'), 'ID,Value\n1,x\n');
    await symlink('input.csv', join(cwd, 'same.csv'));
    for (const [args, code, message] of [
      [['bad.csv', 'output.csv'], 65, 'batchqueue-worker: bad.csv, line 2, column 2 (Value): got "x"'],
      [['none.csv', 'output.csv'], 65, 'batchqueue-worker: input none.csv: does not exist'],
      [['input.csv', './input.csv'], 65, 'is the input itself'],
      [['input.csv', 'same.csv'], 65, 'is the input itself'],
      [['input.csv', 'none/output.csv'], 65, 'its directory does not exist'],
    ] as const) {
      expect(await run(...args)).toMatchObject({
        code,
        stdout: '',
        stderr: expect.stringContaining(message),
      });
    }
    expect(await namesIn(cwd)).toEqual(['bad.csv', 'input.csv', 'same.csv']);
    expect(await output('input.csv')).toBe(INPUT);
  });

  /** The command, on a file that takes it long enough, as soon as it has begun to write. */
  async function writing() {
    await writeFile(join(cwd, 'large.csv'), `ID,Value\n${'1,100.5\n'.repeat(400_000)}`);
    const worker = startWorker(['large.csv', 'output.csv'], {}, { cwd });
    await eventually(async () => (await namesIn(cwd)).find((name) => name.endsWith('.tmp')));
    return worker;
  }

  test.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)('is stopped by %s without a trace', async (signal) => {
    const worker = await writing();
    worker.kill(signal);
    expect(await ended(worker)).toMatchObject({ code: 75, stderr: expect.stringContaining(signal) });
    expect(await namesIn(cwd)).toEqual(['input.csv', 'large.csv']);
  });

  test('removes what a killed one left, once it is called for the same output again', async () => {
    const worker = await writing();
    worker.kill('SIGKILL');
    await ended(worker);
    const left = (await namesIn(cwd)).filter((name) => name.endsWith('.tmp'));
    expect(left).toHaveLength(1);
    expect((await run('input.csv', 'other.csv')).code).toBe(0);
    expect(await namesIn(cwd)).toEqual([...left, 'input.csv', 'large.csv', 'other.csv']);
    expect((await run('input.csv', 'output.csv')).code).toBe(0);
    expect(await namesIn(cwd)).toEqual(['input.csv', 'large.csv', 'other.csv', 'output.csv']);
  });
});
