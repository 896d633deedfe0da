/** The official release downloads, each verified against the SHA-256 published beside it. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { chmod, mkdir, mkdtemp, open, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { extract } from 'tar-stream';
import { Agent, request } from 'undici';
import type { Versions } from './binaries.ts';

export interface Download {
  readonly versions: Versions;
  readonly names: readonly string[];
  /** Where the binaries go; each appears complete or not at all. */
  readonly directory: string;
  readonly progress: (line: string) => void;
  readonly signal: AbortSignal | undefined;
}

/** Machines without a way out should not wait long before building instead. */
const CONNECT_WITHIN_MS = 4_000;

/**
 * Downloads the binaries that are missing. Returns undefined on success, else why it did not work: no network, or a
 * file that is not there, is not a reason to give up. Throws when a checksum does not match, and on abort.
 */
export async function downloadBinaries(download: Download): Promise<string | undefined> {
  const dispatcher = new Agent({ connect: { timeout: CONNECT_WITHIN_MS }, bodyTimeout: 30_000 });
  await mkdir(download.directory, { recursive: true });
  const temporary = await mkdtemp(path.join(download.directory, '.part-'));
  try {
    for (const name of download.names) {
      const fetched = path.join(temporary, name);
      if (name === 'etcd') await fetchEtcd({ ...download, dispatcher, temporary, fetched });
      else await fetchKubernetes({ ...download, dispatcher, name, fetched });
      await chmod(fetched, 0o755);
      await rename(fetched, path.join(download.directory, name));
      download.progress(`downloaded ${name}`);
    }
    return undefined;
  } catch (error) {
    download.signal?.throwIfAborted();
    if (error instanceof ChecksumError) throw error;
    return `${error instanceof Error ? error.message : String(error)}`;
  } finally {
    await rm(temporary, { recursive: true, force: true });
    await dispatcher.close();
  }
}

/** What was downloaded is not what was published. */
export class ChecksumError extends Error {}

interface Fetch {
  readonly dispatcher: Agent;
  readonly versions: Versions;
  readonly fetched: string;
  readonly signal: AbortSignal | undefined;
}

async function fetchKubernetes(fetch: Fetch & { readonly name: string }): Promise<void> {
  const url = `https://dl.k8s.io/release/${fetch.versions.kubernetes}/bin/linux/${goArchitecture()}/${fetch.name}`;
  const expected = (await fetchText(fetch, `${url}.sha256`)).trim();
  await fetchFile(fetch, { url, expected, target: fetch.fetched });
}

async function fetchEtcd(fetch: Fetch & { readonly temporary: string }): Promise<void> {
  const { versions, temporary, fetched } = fetch;
  const base = `https://github.com/etcd-io/etcd/releases/download/${versions.etcd}`;
  const folder = `etcd-${versions.etcd}-linux-${goArchitecture()}`;
  const expected = checksumOf(await fetchText(fetch, `${base}/SHA256SUMS`), `${folder}.tar.gz`);
  const archive = path.join(temporary, 'etcd.tar.gz');
  await fetchFile(fetch, { url: `${base}/${folder}.tar.gz`, expected, target: archive });
  await extractFile(archive, `${folder}/etcd`, fetched);
}

/** The checksum of `file` in the output of sha256sum. Throws when it is not listed. */
export function checksumOf(sums: string, file: string): string {
  for (const line of sums.split('\n')) {
    const [sum, name] = line.trim().split(/\s+\*?/);
    if (name === file && sum !== undefined) return sum;
  }
  throw new Error(`no checksum is published for ${file}`);
}

async function fetchText(fetch: Fetch, url: string): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of await openUrl(fetch, url)) chunks.push(chunk as Uint8Array);
  return Buffer.concat(chunks).toString();
}

/** Writes the body to `target` and throws ChecksumError unless its SHA-256 is `expected`. */
async function fetchFile(
  fetch: Fetch,
  file: { url: string; expected: string; target: string },
): Promise<void> {
  const hash = createHash('sha256');
  const output = await open(file.target, 'w');
  try {
    for await (const chunk of await openUrl(fetch, file.url)) {
      hash.update(chunk as Uint8Array);
      await output.write(chunk as Uint8Array);
    }
  } finally {
    await output.close();
  }
  const found = hash.digest('hex');
  if (found !== file.expected)
    throw new ChecksumError(`${file.url} has SHA-256 ${found}, but ${file.expected} is published`);
}

/** Follows redirects, which both sites use to reach their storage. */
async function openUrl(fetch: Fetch, url: string, redirects = 5): Promise<Readable> {
  const { dispatcher, signal } = fetch;
  const response = await request(url, { dispatcher, signal: signal ?? null });
  const { location } = response.headers;
  if (
    response.statusCode >= 300 &&
    response.statusCode < 400 &&
    typeof location === 'string' &&
    redirects > 0
  ) {
    await response.body.dump();
    return openUrl(fetch, new URL(location, url).href, redirects - 1);
  }
  if (response.statusCode !== 200) {
    await response.body.dump();
    throw new Error(`${url} answered ${response.statusCode}`);
  }
  return response.body;
}

/** Writes one member of a .tar.gz to `target`. Throws when the archive does not hold it. */
async function extractFile(archive: string, member: string, target: string): Promise<void> {
  const reader = extract();
  const unpacked = pipeline(createReadStream(archive), createGunzip(), reader);
  let found = false;
  const output = await open(target, 'w');
  try {
    for await (const entry of reader) {
      if (entry.header.name !== member) {
        entry.resume();
        continue;
      }
      found = true;
      for await (const chunk of Readable.from(entry)) await output.write(chunk as Uint8Array);
    }
    await unpacked;
  } finally {
    await output.close();
  }
  if (!found) throw new Error(`${path.basename(archive)} does not hold ${member}`);
}

/** Go's name for this processor. */
function goArchitecture(): 'amd64' | 'arm64' {
  return process.arch === 'arm64' ? 'arm64' : 'amd64';
}
