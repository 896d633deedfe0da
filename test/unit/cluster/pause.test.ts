import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { buildPauseBinary } from '../../cluster/pause.ts';
import { waitFor } from '../../cluster/wait.ts';

describe('the pause program', () => {
  test.each([
    ['x64', 62],
    ['arm64', 183],
  ] as const)('for %s is a static executable whose one segment is the file', (architecture, machine) => {
    const file = buildPauseBinary(architecture);
    expect(file.subarray(0, 7)).toEqual(Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]));
    expect(file.readUInt16LE(16)).toBe(2);
    expect(file.readUInt16LE(18)).toBe(machine);
    expect(file.readUInt16LE(56)).toBe(1);
    const [start, length] = [file.readBigUInt64LE(64 + 16), file.readBigUInt64LE(64 + 32)];
    expect(length).toBe(BigInt(file.length));
    const entry = file.readBigUInt64LE(24);
    expect(entry).toBeGreaterThan(start);
    expect(entry).toBeLessThan(start + length);
  });

  test('for arm64 waits again in front of its system call and then exits', () => {
    const file = buildPauseBinary('arm64');
    const code = Array.from({ length: 26 }, (_, index) => file.readUInt32LE(120 + 4 * index));
    const branch = code.findIndex((word) => (word & 0xff000000) >>> 0 === 0xb7000000);
    const offset = (((code[branch] ?? 0) >> 5) << 18) >> 18;
    const waitNumber = 0xd2800000 | (137 << 5) | 8;
    expect(code.slice(branch + offset, branch)).toContain(waitNumber >>> 0);
    expect(code.slice(branch)).toContain((0xd2800000 | (93 << 5) | 8) >>> 0);
  });
});

const runsHere = process.platform === 'linux' && process.arch === 'x64';

(runsHere ? describe : describe.skip)('the pause program, run on Linux x64', () => {
  let directory: string;

  beforeAll(async () => {
    directory = await mkdtemp(path.join(tmpdir(), 'pause-'));
    await writeFile(path.join(directory, 'pause'), buildPauseBinary('x64'), { mode: 0o755 });
  });

  afterAll(() => rm(directory, { recursive: true, force: true }));

  test.each(['SIGTERM', 'SIGINT'] as const)('sleeps until %s and exits with 0', async (signal) => {
    const child = spawn(path.join(directory, 'pause'), { stdio: 'ignore', timeout: 10_000 });
    const ended = once(child, 'exit');
    const read = (file: string) => readFileSync(`/proc/${child.pid}/${file}`, 'utf8');
    const RT_SIGTIMEDWAIT = '128 ';
    await waitFor(async () => read('syscall').startsWith(RT_SIGTIMEDWAIT), {
      what: 'sleep',
      timeoutMs: 4_000,
    });
    const SIGCHLD_BIT = '10000';
    expect(read('status')).toMatch(new RegExp(`SigIgn:\\s+0*${SIGCHLD_BIT}\\b`));
    child.kill(signal);
    expect(await ended).toEqual([0, null]);
  });
});
