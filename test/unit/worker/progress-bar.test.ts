import { spawnSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { progressLine } from '../../../worker/progress-bar.ts';
import { plainReport, terminalReport } from '../../../worker/report.ts';
import { noTotals } from '../../../worker/totals.ts';
import { workspace } from './workspace.ts';

const START_OVER = '\r\u001b[K';
const progress = { ...noTotals(), rowsIn: 1_234_567, bytesIn: 50_000_000, rowsPerSecond: 987_654 };

describe('The progress bar', () => {
  test('shows how much is done, and the rate', () => {
    expect(progressLine(progress, 100_000_000, 120)).toBe(
      `${START_OVER}[###############...............]  50%  1,234,567 rows  50.0 MB  987,654 rows/s`,
    );
    expect(progressLine(progress, 40_000_000, 120)).toContain('[##############################] 100%');
  });

  test('has no bar when the size is unknown, and never fills the line', () => {
    expect(progressLine(progress, 0, 120)).toBe(`${START_OVER}1,234,567 rows  50.0 MB  987,654 rows/s`);
    expect(progressLine(progress, 100, 20)).toHaveLength(START_OVER.length + 19);
  });

  test('is gone before anything else is said', () => {
    let screen = '';
    const say = (line: string) => void (screen += `${line}\n`);
    const terminal = { write: (text: string) => void (screen += text), columns: 80 };
    const report = terminalReport(plainReport(say, say), terminal);
    const task = { input: 'a', output: 'b' };
    report.progress({ ...task, inputBytes: 10 }, progress);
    report.done(task, { ...noTotals(), rowsOut: 3, rowsRejected: 1 }, 1);
    report.failed({}, 'why');
    expect(screen.split('\r')).toEqual([
      '',
      expect.stringContaining('100%'),
      '\u001b[Kb: 3 rows, 0 bytes written in 1.00 s, 1 bad rows set aside\n',
      '\u001b[Kwhy\n',
    ]);
  });
});

const hasScript = spawnSync('script', ['--version']).status === 0;

(hasScript ? test : test.skip)(
  'The command shows it on a terminal (needs script, of util-linux)',
  async () => {
    const cwd = await workspace();
    await writeFile(join(cwd, 'a.csv'), `ID,Value\n${'1,100.5\n'.repeat(1_000_000)}`);
    const command = `'${process.execPath}' '${resolve(import.meta.dirname, '../../../worker/main.ts')}' a.csv b.csv`;
    const { status, stdout } = spawnSync('script', ['-qec', command, '/dev/null'], {
      cwd,
      env: { PATH: process.env['PATH'], TERM: 'xterm' },
      encoding: 'utf8',
    });
    expect(status).toBe(0);
    expect(stdout).toMatch(/b\.csv: 1000000 rows, [\d.]+ MB written in [\d.]+ s/);
    expect(stdout).toContain('\u001b[K');
  },
);
