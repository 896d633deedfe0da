/** Image archives in the form of `docker save`, which containerd, docker and podman all load. */
import { createHash, randomUUID } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { rename, rm, stat } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import type { Pack } from 'tar-stream';
import { pack } from 'tar-stream';

/** What a path in a layer is. Directories and files belong to root and are as old as the epoch. */
export type LayerEntry =
  | { readonly kind: 'directory'; readonly mode?: number }
  | { readonly kind: 'link'; readonly target: string }
  | { readonly kind: 'text'; readonly text: string | Buffer; readonly mode?: number }
  | { readonly kind: 'file'; readonly source: string; readonly mode?: number };

/** Paths in the image, absolute, to what is there. Parent directories are added where missing. */
export type LayerEntries = Readonly<Record<string, LayerEntry>>;

/** A layer on disk: a tar file and its digest (`sha256:<hex>`). */
export interface Layer {
  readonly path: string;
  readonly digest: string;
}

export interface ImageConfig {
  readonly architecture: 'amd64' | 'arm64';
  readonly user?: string;
  readonly env?: readonly string[];
  readonly entrypoint: readonly string[];
  readonly workingDirectory?: string;
}

const EPOCH = new Date(0);

/**
 * Writes a layer to `path`. The bytes depend on the entries alone: sorted paths, epoch times, root as owner. A file
 * that appears at `path` is complete.
 */
export async function writeLayer(path: string, entries: LayerEntries): Promise<Layer> {
  const complete = withParents(entries);
  await writeTar(path, async (tar) => {
    for (const [name, entry] of sortByName(complete)) await addEntry(tar, name, entry);
  });
  return { path, digest: await digestOf(path) };
}

/** Writes an archive of one image with one tag; same bytes for same layers and configuration. */
export async function writeArchive(
  path: string,
  image: { readonly tag: string; readonly config: ImageConfig; readonly layers: readonly Layer[] },
): Promise<void> {
  const config = JSON.stringify(buildConfig(image.config, image.layers));
  const configName = `${sha256(config)}.json`;
  const layerNames = image.layers.map(({ digest }) => `${digest.replace('sha256:', '')}.tar`);
  const manifest = JSON.stringify([{ Config: configName, RepoTags: [image.tag], Layers: layerNames }]);
  await writeTar(path, async (tar) => {
    await addText(tar, 'manifest.json', manifest);
    await addText(tar, configName, config);
    for (const [index, layer] of image.layers.entries())
      await addFile(tar, { name: layerNames[index] ?? '', source: layer.path, mode: 0o644 });
  });
}

/** The digest of a file's content, `sha256:<hex>`. */
export async function digestOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return `sha256:${hash.digest('hex')}`;
}

/** Image configuration as in the OCI image specification; docker's older form accepts the same fields. */
function buildConfig(config: ImageConfig, layers: readonly Layer[]): object {
  return {
    architecture: config.architecture,
    os: 'linux',
    created: EPOCH.toISOString(),
    config: {
      ...(config.user !== undefined && { User: config.user }),
      ...(config.env !== undefined && { Env: config.env }),
      Entrypoint: config.entrypoint,
      ...(config.workingDirectory !== undefined && { WorkingDir: config.workingDirectory }),
    },
    rootfs: { type: 'layers', diff_ids: layers.map(({ digest }) => digest) },
    history: layers.map(() => ({ created: EPOCH.toISOString(), created_by: 'batchqueue' })),
  };
}

/** Names without the leading slash, as tar wants them, and every directory above a name. */
function withParents(entries: LayerEntries): LayerEntries {
  const complete: Record<string, LayerEntry> = {};
  for (const [absolute, entry] of Object.entries(entries)) {
    const name = absolute.replace(/^\/+/, '');
    complete[name] = entry;
    for (let cut = name.lastIndexOf('/'); cut > 0; cut = name.lastIndexOf('/', cut - 1))
      complete[name.slice(0, cut)] ??= { kind: 'directory' };
  }
  return complete;
}

/** In the order of the names' bytes, the same on every machine. */
function sortByName(entries: LayerEntries): [string, LayerEntry][] {
  return Object.entries(entries).sort(([a], [b]) => (a < b ? -1 : 1));
}

async function writeTar(path: string, fill: (tar: Pack) => Promise<void>): Promise<void> {
  const temporary = `${path}.${randomUUID()}.part`;
  const tar = pack();
  try {
    const filled = fill(tar).then(
      () => tar.finalize(),
      (error: unknown) => tar.destroy(error instanceof Error ? error : new Error(String(error))),
    );
    await pipeline(tar, createWriteStream(temporary));
    await filled;
    await rename(temporary, path);
  } finally {
    await rm(temporary, { force: true });
  }
}

async function addEntry(tar: Pack, name: string, entry: LayerEntry): Promise<void> {
  switch (entry.kind) {
    case 'directory':
      return add(tar, { name: `${name}/`, type: 'directory', mode: entry.mode ?? 0o755 });
    case 'link':
      return add(tar, { name, type: 'symlink', linkname: entry.target, mode: 0o777 });
    case 'text':
      return add(tar, { name, mode: entry.mode ?? 0o644 }, entry.text);
    case 'file':
      return addFile(tar, { name, source: entry.source, mode: entry.mode ?? 0o644 });
    default:
      return entry satisfies never;
  }
}

function addText(tar: Pack, name: string, text: string): Promise<void> {
  return add(tar, { name, mode: 0o644 }, text);
}

type Header = Parameters<Pack['entry']>[0];

function add(tar: Pack, header: Header, content: string | Buffer = ''): Promise<void> {
  return new Promise((resolve, reject) => {
    tar.entry({ ...header, mtime: EPOCH, uid: 0, gid: 0 }, content, (error) =>
      error ? reject(error) : resolve(),
    );
  });
}

async function addFile(tar: Pack, file: { name: string; source: string; mode: number }): Promise<void> {
  const { size } = await stat(file.source);
  const entry = tar.entry({ name: file.name, mode: file.mode, size, mtime: EPOCH, uid: 0, gid: 0 });
  await pipeline(createReadStream(file.source, { highWaterMark: 1 << 20 }), entry);
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
