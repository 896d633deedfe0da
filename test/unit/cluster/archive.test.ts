import { createReadStream } from 'node:fs';
import { mkdtemp, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { extract } from 'tar-stream';
import type { LayerEntries } from '../../cluster/archive.ts';
import { digestOf, writeArchive, writeLayer } from '../../cluster/archive.ts';

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'archive-'));
});

afterEach(() => rm(directory, { recursive: true, force: true }));

async function members(
  file: string,
): Promise<Record<string, { type: string; mode: string; owner: string; text: string }>> {
  const found: Record<string, { type: string; mode: string; owner: string; text: string }> = {};
  const reader = createReadStream(file).pipe(extract());
  for await (const entry of reader) {
    const { name, type, mode, uid, gid, mtime } = entry.header;
    let text = '';
    for await (const chunk of entry) text += String(chunk);
    expect(mtime?.getTime()).toBe(0);
    found[name] = { type: type ?? 'none', mode: (mode ?? 0).toString(8), owner: `${uid}:${gid}`, text };
  }
  return found;
}

async function entriesWithFile(): Promise<LayerEntries> {
  const source = path.join(directory, 'source');
  await writeFile(source, 'on disk');
  return {
    '/tmp': { kind: 'directory', mode: 0o1777 },
    '/usr/local/bin/tool': { kind: 'file', source, mode: 0o755 },
    '/etc/name': { kind: 'text', text: 'text' },
    '/var/run': { kind: 'link', target: '/run' },
  };
}

describe('layers', () => {
  test('hold sorted members of root, with every parent directory', async () => {
    const layer = await writeLayer(path.join(directory, 'layer'), await entriesWithFile());
    const found = await members(layer.path);
    expect(Object.keys(found)).toEqual([
      'etc/',
      'etc/name',
      'tmp/',
      'usr/',
      'usr/local/',
      'usr/local/bin/',
      'usr/local/bin/tool',
      'var/',
      'var/run',
    ]);
    expect(found['tmp/']).toMatchObject({ type: 'directory', mode: '1777', owner: '0:0' });
    expect(found['usr/local/bin/tool']).toMatchObject({ mode: '755', owner: '0:0', text: 'on disk' });
    expect(found['var/run']).toMatchObject({ type: 'symlink' });
  });

  test('are the same bytes for the same entries, whatever their order and the age of files', async () => {
    const entries = await entriesWithFile();
    const first = await writeLayer(path.join(directory, 'first'), entries);
    await utimes(path.join(directory, 'source'), 1, 1);
    const reversed = Object.fromEntries(Object.entries(entries).toReversed());
    const second = await writeLayer(path.join(directory, 'second'), reversed);
    expect(second.digest).toBe(first.digest);
    expect(await readFile(second.path)).toEqual(await readFile(first.path));
  });

  test('leave nothing behind when a file is missing', async () => {
    const target = path.join(directory, 'layer');
    const entries: LayerEntries = { '/a': { kind: 'file', source: path.join(directory, 'absent') } };
    await expect(writeLayer(target, entries)).rejects.toThrow('ENOENT');
    await expect(readFile(target)).rejects.toThrow('ENOENT');
  });
});

describe('archives', () => {
  test('name the image, its configuration and its layers by their digests', async () => {
    const layer = await writeLayer(path.join(directory, 'layer'), { '/a': { kind: 'text', text: 'a' } });
    const archive = path.join(directory, 'image.tar');
    const config = { architecture: 'amd64', user: '65532:65532', entrypoint: ['/a'] } as const;
    await writeArchive(archive, { tag: 'localhost/a:1', config, layers: [layer] });
    const found = await members(archive);
    const layerName = `${layer.digest.replace('sha256:', '')}.tar`;
    const manifest: unknown = JSON.parse(found['manifest.json']?.text ?? '');
    expect(manifest).toEqual([
      {
        Config: expect.stringMatching(/^[0-9a-f]{64}\.json$/),
        RepoTags: ['localhost/a:1'],
        Layers: [layerName],
      },
    ]);
    const configName =
      Object.keys(found).find((name) => name.endsWith('.json') && name !== 'manifest.json') ?? '';
    expect(JSON.parse(found[configName]?.text ?? '')).toMatchObject({
      os: 'linux',
      config: { User: '65532:65532', Entrypoint: ['/a'] },
      rootfs: { type: 'layers', diff_ids: [layer.digest] },
    });
    await writeFile(path.join(directory, 'config'), found[configName]?.text ?? '');
    expect(await digestOf(path.join(directory, 'config'))).toBe(`sha256:${configName.replace('.json', '')}`);
  });
});
