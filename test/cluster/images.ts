/** Images from a checkout, without a registry and without a container engine. */
import { createHash, randomUUID } from 'node:crypto';
import { mkdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { bundle } from '../../scripts/bundle.ts';
import type { ImageConfig, Layer, LayerEntries, LayerEntry } from './archive.ts';
import { writeArchive, writeLayer } from './archive.ts';
import { baseLayer } from './base-layer.ts';
import { cacheDirectory } from './cache.ts';
import { buildPauseBinary } from './pause.ts';

export interface ImageOptions {
  /** Name and tag, for example `localhost/batchqueue-operator:dev`; not `latest`, which means "always pull". */
  readonly name: string;
  /** A TypeScript program of this repository, bundled to `/app/main.mjs` and run by the image's entry point. */
  readonly entry?: string;
  /** Flags for Node itself, as the image's Dockerfile has them. */
  readonly nodeFlags?: readonly string[];
  /** Files to add as they are: absolute path in the image to path on disk. What is executable stays so. */
  readonly files?: Readonly<Record<string, string>>;
  readonly onProgress?: (line: string) => void;
}

/** User and group of every image: no name on a node, no rights anywhere. */
export const NONROOT_ID = 65532;

/** What `node` runs in every image. */
const PROGRAM = '/app/main.mjs';

const NODE_CONFIG = {
  architecture: goArchitecture(),
  user: `${NONROOT_ID}:${NONROOT_ID}`,
  env: ['PATH=/usr/local/bin:/usr/bin:/bin'],
  workingDirectory: '/app',
} as const;

/**
 * Builds an image and returns the path of its archive in the user's cache; the archive there is always a complete
 * one. Same sources, same bytes. Only the thin layer is built each time: the Node runtime below it is made once per
 * machine. Throws when the entry does not bundle.
 */
export async function buildImage(options: ImageOptions): Promise<string> {
  const progress = options.onProgress ?? (() => undefined);
  const directory = path.join(cacheDirectory(), 'images');
  await mkdir(directory, { recursive: true });
  const name = createHash('sha256').update(options.name).digest('hex').slice(0, 16);
  const [base, entries] = await Promise.all([baseLayer(directory, progress), thinEntries(options)]);
  const thinPath = path.join(directory, `${name}.${randomUUID()}.layer`);
  const archive = path.join(directory, `${name}.tar`);
  try {
    const layers: Layer[] = [base, await writeLayer(thinPath, entries)];
    await writeArchive(archive, { tag: options.name, config: configOf(options), layers });
  } finally {
    await rm(thinPath, { force: true });
  }
  progress(`built image ${options.name}`);
  return archive;
}

/** Writes the archive of the image that holds a pod's namespaces into `directory` and returns its path. */
export async function writePauseArchive(directory: string, tag: string): Promise<string> {
  const text = buildPauseBinary(process.arch === 'arm64' ? 'arm64' : 'x64');
  const layer = await writeLayer(path.join(directory, 'pause.layer'), {
    '/pause': { kind: 'text', text, mode: 0o755 },
  });
  const archive = path.join(directory, 'pause.tar');
  const config: ImageConfig = { architecture: goArchitecture(), entrypoint: ['/pause'] };
  await writeArchive(archive, { tag, config, layers: [layer] });
  return archive;
}

async function thinEntries({ entry, files = {} }: ImageOptions): Promise<LayerEntries> {
  const added = await Promise.all(
    Object.entries(files).map(async ([name, source]): Promise<[string, LayerEntry]> => {
      const isExecutable = ((await stat(source)).mode & 0o111) !== 0;
      return [name, { kind: 'file', source, mode: isExecutable ? 0o755 : 0o644 }];
    }),
  );
  if (entry !== undefined) added.push([PROGRAM, { kind: 'text', text: Buffer.from(await bundle(entry)) }]);
  return Object.fromEntries(added);
}

function configOf({ nodeFlags = [] }: ImageOptions): ImageConfig {
  return { ...NODE_CONFIG, entrypoint: ['/usr/local/bin/node', ...nodeFlags, PROGRAM] };
}

/** The image specification's name for this processor. */
function goArchitecture(): 'amd64' | 'arm64' {
  return process.arch === 'arm64' ? 'arm64' : 'amd64';
}
