/** The Node runtime that every image stands on. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Layer, LayerEntries, LayerEntry } from './archive.ts';
import { writeLayer } from './archive.ts';
import { withLock } from './lock.ts';
import { run } from './run.ts';

/** The Node 24 binary that npm installed for this processor, integrity checked by the lock file. */
const NODE_BINARY = fileURLToPath(
  new URL(`../../node_modules/node-linux-${process.arch}/bin/node`, import.meta.url),
);

/** Where Debian, Fedora and Alpine keep the certificate authorities, in this order. */
const AUTHORITIES = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/cert.pem',
];

const TEXTS: Readonly<Record<string, string>> = {
  '/etc/passwd':
    'root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n',
  '/etc/group': 'root:x:0:\nnonroot:x:65532:\n',
  '/etc/nsswitch.conf': 'hosts: files dns\n',
};

/** Directories that volumes and the runtime are mounted on: the root file system may be read-only. */
const MOUNT_POINTS = ['/app', '/dev', '/home/nonroot', '/proc', '/run', '/sys'];

/**
 * The layer with Node, the shared libraries it needs (copied from this machine), certificate authorities and the user
 * `nonroot`. Made once into `directory` and found there again as long as its parts have not changed.
 */
export async function baseLayer(directory: string, progress: (line: string) => void): Promise<Layer> {
  if (!existsSync(NODE_BINARY))
    throw new Error(`${NODE_BINARY} is missing: run npm ci on Linux with optional dependencies`);
  const entries = await baseEntries();
  const key = await keyOf(entries);
  const file = path.join(directory, `base-${key}.layer`);
  // Several images are often built at once, and all of them need it.
  return withLock(`${file}.lock`, { progress: () => undefined, signal: undefined }, async () => {
    const digestFile = `${file}.digest`;
    const digest = await readFile(digestFile, 'utf8').catch(() => undefined);
    if (digest !== undefined && existsSync(file)) return { path: file, digest };
    progress('making the Node runtime layer (once per machine)');
    const layer = await writeLayer(file, entries);
    await writeFile(digestFile, layer.digest);
    return layer;
  });
}

async function baseEntries(): Promise<LayerEntries> {
  const libraries = parseLdd(await run('ldd', [NODE_BINARY]));
  const authorities = AUTHORITIES.find((file) => existsSync(file));
  return {
    '/usr/local/bin/node': { kind: 'file', source: NODE_BINARY, mode: 0o755 },
    '/tmp': { kind: 'directory', mode: 0o1777 },
    '/var/run': { kind: 'link', target: '/run' },
    ...Object.fromEntries(MOUNT_POINTS.map((name) => [name, { kind: 'directory' } satisfies LayerEntry])),
    ...Object.fromEntries(
      Object.entries(TEXTS).map(([name, text]) => [name, { kind: 'text', text } satisfies LayerEntry]),
    ),
    ...Object.fromEntries(
      libraries.map((file) => [file, { kind: 'file', source: file, mode: 0o755 } satisfies LayerEntry]),
    ),
    ...(authorities !== undefined && {
      '/etc/ssl/certs/ca-certificates.crt': { kind: 'file', source: authorities },
    }),
  };
}

/**
 * The files in the output of ldd: `libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x...)` and, without an arrow, the
 * dynamic loader. Each keeps its path, which is where the loader looks for it. Throws when one is not found.
 */
export function parseLdd(output: string): string[] {
  const files = output.split('\n').flatMap((line) => {
    if (line.includes('not found')) throw new Error(`a library of node is not installed: ${line.trim()}`);
    return /(?:=>\s+)?(\/\S+)\s+\(0x/.exec(line)?.[1] ?? [];
  });
  return [...new Set(files)].sort();
}

/** Sizes and times stand for the contents of files: hashing 130 MB each time would cost more than the thin layer. */
async function keyOf(entries: LayerEntries): Promise<string> {
  const hash = createHash('sha256');
  for (const [name, entry] of Object.entries(entries)) {
    hash.update(`${name} ${JSON.stringify(entry)}\n`);
    if (entry.kind !== 'file') continue;
    const { size, mtimeMs } = await stat(entry.source);
    hash.update(`${size} ${mtimeMs}\n`);
  }
  return hash.digest('hex').slice(0, 16);
}
