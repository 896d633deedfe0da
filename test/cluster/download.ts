/** The official release downloads, each verified against the SHA-256 published beside it. */
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { chmod, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { extract } from 'tar-stream';
import type { Dispatcher } from 'undici';
import { Agent, request } from 'undici';
import type { Versions } from './versions.ts';

export interface Download {
  readonly versions: Versions;
  readonly names: readonly string[];
  /** Where the binaries go; each appears complete or not at all. */
  readonly directory: string;
  readonly progress: (line: string) => void;
  readonly signal: AbortSignal | undefined;
  /** Where releases are published; the official places by default. */
  readonly sources?: { readonly kubernetes: string; readonly etcd: string };
}

const OFFICIAL = {
  kubernetes: 'https://dl.k8s.io/release',
  etcd: 'https://github.com/etcd-io/etcd/releases/download',
};

/** Machines without a way out should not wait long before building instead. */
const CONNECT_WITHIN_MS = 4_000;

/**
 * Downloads the binaries that are missing. Returns undefined on success, else why it did not work: no network, or a
 * file that is not there, is not a reason to give up. Throws when a checksum does not match, and on abort.
 */
export async function downloadBinaries(download: Download): Promise<string | undefined> {
  const dispatcher = new Agent({ connect: { timeout: CONNECT_WITHIN_MS }, bodyTimeout: 30_000 });
  const temporary = await mkdtemp(`${download.directory}.part-`);
  const fetch = { dispatcher, sources: OFFICIAL, temporary, ...download };
  try {
    for (const name of download.names) {
      const fetched = path.join(temporary, name);
      await (name === 'etcd' ? fetchEtcd(fetch, fetched) : fetchKubernetes(fetch, name, fetched));
      await chmod(fetched, 0o755);
      await mkdir(download.directory, { recursive: true });
      await rename(fetched, path.join(download.directory, name));
      download.progress(`downloaded ${name}`);
    }
    return undefined;
  } catch (error) {
    download.signal?.throwIfAborted();
    if (error instanceof ChecksumError) throw error;
    return error instanceof Error ? error.message : String(error);
  } finally {
    await rm(temporary, { recursive: true, force: true });
    await dispatcher.close();
  }
}

/** What was downloaded is not what was published. */
export class ChecksumError extends Error {}

interface Fetch {
  readonly dispatcher: Agent;
  readonly sources: { readonly kubernetes: string; readonly etcd: string };
  readonly versions: Versions;
  readonly temporary: string;
  readonly signal: AbortSignal | undefined;
}

async function fetchKubernetes(fetch: Fetch, name: string, target: string): Promise<void> {
  const url = `${fetch.sources.kubernetes}/${fetch.versions.kubernetes}/bin/linux/${goArchitecture()}/${name}`;
  const expected = (await fetchText(fetch, `${url}.sha256`)).trim();
  await fetchFile(fetch, { url, expected, target });
}

async function fetchEtcd(fetch: Fetch, target: string): Promise<void> {
  const base = `${fetch.sources.etcd}/${fetch.versions.etcd}`;
  const folder = `etcd-${fetch.versions.etcd}-linux-${goArchitecture()}`;
  const expected = checksumOf(await fetchText(fetch, `${base}/SHA256SUMS`), `${folder}.tar.gz`);
  const archive = path.join(fetch.temporary, 'etcd.tar.gz');
  await fetchFile(fetch, { url: `${base}/${folder}.tar.gz`, expected, target: archive });
  await extractFile(archive, `${folder}/etcd`, target);
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
  return (await openUrl(fetch, url)).text();
}

/** Writes the body to `target` and throws ChecksumError unless its SHA-256 is `expected`. */
async function fetchFile(
  fetch: Fetch,
  file: { url: string; expected: string; target: string },
): Promise<void> {
  const hash = createHash('sha256');
  const body = await openUrl(fetch, file.url);
  body.on('data', (chunk: Buffer) => hash.update(chunk));
  await pipeline(body, createWriteStream(file.target));
  const found = hash.digest('hex');
  if (found !== file.expected)
    throw new ChecksumError(`${file.url} has SHA-256 ${found}, but ${file.expected} is published`);
}

/** Follows redirects, which both sites use to reach their storage. */
async function openUrl(fetch: Fetch, url: string, redirects = 5): Promise<Dispatcher.ResponseData['body']> {
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
  for await (const entry of reader) {
    if (entry.header.name === member) {
      found = true;
      await pipeline(entry, createWriteStream(target));
    } else {
      entry.resume();
    }
  }
  await unpacked;
  if (!found) throw new Error(`${path.basename(archive)} does not hold ${member}`);
}

/** Go's name for this processor. */
function goArchitecture(): 'amd64' | 'arm64' {
  return process.arch === 'arm64' ? 'arm64' : 'amd64';
}
