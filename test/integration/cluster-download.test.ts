import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import type { Server } from 'node:http';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { buffer } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { pack } from 'tar-stream';
import { ChecksumError, downloadBinaries } from '../cluster/download.ts';

const VERSIONS = { kubernetes: 'v1.99.0', etcd: 'v3.99.0' };
const ARCHITECTURE = process.arch === 'arm64' ? 'arm64' : 'amd64';
const ETCD = `etcd-v3.99.0-linux-${ARCHITECTURE}`;

let parent: string;
let directory: string;
let server: Server;
let published: Map<string, Buffer>;

beforeEach(async () => {
  parent = await mkdtemp(path.join(tmpdir(), 'download-'));
  directory = path.join(parent, 'binaries');
  published = await publish();
  server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '', 'http://localhost');
    // Both sites answer with a redirect to where the file is stored.
    if (!pathname.startsWith('/stored'))
      return response.writeHead(302, { location: `/stored${pathname}` }).end();
    const body = published.get(pathname.replace('/stored', ''));
    return response.writeHead(body === undefined ? 404 : 200).end(body);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});

afterEach(async () => {
  server.closeAllConnections();
  server.close();
  await rm(parent, { recursive: true, force: true });
});

async function publish(): Promise<Map<string, Buffer>> {
  const tar = pack();
  tar.entry({ name: `${ETCD}/README.md` }, 'read me');
  tar.entry({ name: `${ETCD}/etcd` }, 'etcd itself');
  tar.finalize();
  const archive = gzipSync(await buffer(tar));
  const kubectl = Buffer.from('kubectl itself');
  return new Map([
    [`/k8s/v1.99.0/bin/linux/${ARCHITECTURE}/kubectl`, kubectl],
    [`/k8s/v1.99.0/bin/linux/${ARCHITECTURE}/kubectl.sha256`, Buffer.from(sha256(kubectl))],
    [`/etcd/v3.99.0/${ETCD}.tar.gz`, archive],
    ['/etcd/v3.99.0/SHA256SUMS', Buffer.from(`00  other\n${sha256(archive)}  ${ETCD}.tar.gz\n`)],
  ]);
}

function sha256(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}

function download(names: readonly string[], port = portOf(server)): Promise<string | undefined> {
  const sources = { kubernetes: `http://127.0.0.1:${port}/k8s`, etcd: `http://127.0.0.1:${port}/etcd` };
  const progress = () => undefined;
  return downloadBinaries({ versions: VERSIONS, names, directory, progress, signal: undefined, sources });
}

function portOf(listening: Server): number {
  const address = listening.address();
  if (address === null || typeof address === 'string') throw new Error('the server does not listen');
  return address.port;
}

describe('release downloads', () => {
  test('are followed, verified, unpacked and executable', async () => {
    expect(await download(['etcd', 'kubectl'])).toBeUndefined();
    expect(await readFile(path.join(directory, 'etcd'), 'utf8')).toBe('etcd itself');
    expect(await readFile(path.join(directory, 'kubectl'), 'utf8')).toBe('kubectl itself');
    expect((await stat(path.join(directory, 'etcd'))).mode & 0o111).toBe(0o111);
    expect(await readdir(parent)).toEqual(['binaries']);
  });

  test('that differ from their checksum are refused and not kept', async () => {
    published.set(`/k8s/v1.99.0/bin/linux/${ARCHITECTURE}/kubectl`, Buffer.from('something else'));
    await expect(download(['kubectl'])).rejects.toThrow(ChecksumError);
    expect(await readdir(parent)).toEqual([]);
  });

  test('that are not there are a reason to look elsewhere', async () => {
    expect(await download(['kube-apiserver'])).toMatch(/kube-apiserver\.sha256 answered 404/);
    expect(await readdir(parent)).toEqual([]);
  });

  test('from a place that cannot be reached are a reason to look elsewhere', async () => {
    const closed = createServer().listen(0, '127.0.0.1');
    await once(closed, 'listening');
    const port = portOf(closed);
    closed.close();
    await once(closed, 'close');
    expect(await download(['kubectl'], port)).toMatch('ECONNREFUSED');
  });
});
