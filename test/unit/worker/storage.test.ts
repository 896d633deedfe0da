import { execFileSync } from 'node:child_process';
import { link, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from '@jest/globals';
import { openInput, openRoot, prepareOutput } from '../../../worker/storage.ts';
import { namesIn, workspace } from './workspace.ts';

let outside: string;
let root: string;
beforeEach(async () => {
  outside = await workspace();
  root = join(outside, 'root');
  await mkdir(join(root, 'in'), { recursive: true });
  await writeFile(join(root, 'in/a.csv'), 'inside');
  await writeFile(join(outside, 'secret.csv'), 'outside');
});

const at = (relative: string) => ({ root, relative, shown: relative });
const rejection = (text: string) =>
  expect.objectContaining({ verdict: 'reject', message: expect.stringContaining(text) });

describe('An input', () => {
  test('that is a regular file inside the root is opened', async () => {
    const file = await openInput(at('in/a.csv'));
    const text = await file.readFile('utf8');
    await file.close();
    expect(text).toBe('inside');
  });

  test('that is a hard link is a regular file', async () => {
    await link(join(root, 'in/a.csv'), join(root, 'in/b.csv'));
    await (await openInput(at('in/b.csv'))).close();
  });

  test('that is missing, a directory, or below a file is refused', async () => {
    await expect(openInput(at('in/none.csv'))).rejects.toEqual(
      rejection('input in/none.csv: does not exist (ENOENT)'),
    );
    await expect(openInput(at('in'))).rejects.toEqual(rejection('is a directory'));
    await expect(openInput(at('in/a.csv/b'))).rejects.toEqual(rejection('ENOTDIR'));
  });

  test('that is a symbolic link, or below one, is refused, wherever the link leads', async () => {
    await symlink(join(outside, 'secret.csv'), join(root, 'in/out.csv'));
    await symlink(join(root, 'in/a.csv'), join(root, 'in/same.csv'));
    await symlink(outside, join(root, 'up'));
    await symlink('in', join(root, 'alias'));
    for (const path of ['in/out.csv', 'in/same.csv', 'up/secret.csv', 'alias/a.csv']) {
      await expect(openInput(at(path))).rejects.toEqual(rejection('symbolic link'));
    }
  });

  test('that is a pipe or a socket is refused without waiting for a writer', async () => {
    execFileSync('/usr/bin/env', ['mkfifo', join(root, 'in/pipe')]);
    await expect(openInput(at('in/pipe'))).rejects.toEqual(rejection('allowed: a regular file'));
    const server = createServer().listen(join(root, 'in/socket'));
    await new Promise((resolve) => server.once('listening', resolve));
    await expect(openInput(at('in/socket')).finally(() => server.close())).rejects.toEqual(
      rejection('allowed: a regular file'),
    );
  });
});

describe('An output', () => {
  test('gets its missing directories', async () => {
    await prepareOutput(at('out/deep/er/b.csv'));
    expect(await namesIn(join(root, 'out/deep/er'))).toEqual([]);
  });

  test('whose path goes through a symbolic link is refused, and nothing is made behind the link', async () => {
    await symlink(outside, join(root, 'up'));
    await expect(prepareOutput(at('up/new/b.csv'))).rejects.toEqual(rejection('symbolic links are refused'));
    expect(await namesIn(outside)).toEqual(['root', 'secret.csv']);
  });

  test('whose place is taken by a directory or a symbolic link is refused', async () => {
    await symlink(join(outside, 'secret.csv'), join(root, 'b.csv'));
    await expect(prepareOutput(at('b.csv'))).rejects.toEqual(
      rejection('is a symbolic link, allowed: a regular file'),
    );
    await expect(prepareOutput(at('in'))).rejects.toEqual(
      rejection('is a directory, allowed: a regular file'),
    );
    expect(await readFile(join(outside, 'secret.csv'), 'utf8')).toBe('outside');
  });

  test('below a file is refused', async () => {
    await expect(prepareOutput(at('in/a.csv/b.csv'))).rejects.toEqual(rejection('is not a directory'));
  });
});

describe('The storage root', () => {
  test('may itself be reached through a symbolic link, as mount points are', async () => {
    await symlink(root, join(outside, 'mount'));
    expect(await openRoot(join(outside, 'mount'))).toBe(root);
  });

  test('that is missing or no directory is a wrong set-up', async () => {
    await expect(openRoot(join(outside, 'none'))).rejects.toMatchObject({ verdict: 'misconfigured' });
    await expect(openRoot(join(outside, 'secret.csv'))).rejects.toMatchObject({ verdict: 'misconfigured' });
  });
});
