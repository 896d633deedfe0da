/** Images from a checkout, without a registry and without a container engine. */
import { createHash, randomUUID } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
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
  /** Files to add as they are: absolute path in the image to path on disk. */
  readonly files?: Readonly<Record<string, string>>;
  readonly onProgress?: (line: string) => void;
}

/** User and group of every image: no name on a node, no rights anywhere. */
export const NONROOT_ID = 65532;

const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url));

/** What `node` runs in every image. */
const PROGRAM = '/app/main.mjs';

const NODE_CONFIG: ImageConfig = {
  architecture: goArchitecture(),
  user: `${NONROOT_ID}:${NONROOT_ID}`,
  env: ['PATH=/usr/local/bin:/usr/bin:/bin'],
  entrypoint: ['/usr/local/bin/node', PROGRAM],
  workingDirectory: '/app',
};

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
    await writeArchive(archive, { tag: options.name, config: NODE_CONFIG, layers });
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
  const added = Object.entries(files).map(([name, source]): [string, LayerEntry] => [
    name,
    { kind: 'file', source },
  ]);
  if (entry !== undefined) added.push([PROGRAM, { kind: 'text', text: await bundle(entry) }]);
  return Object.fromEntries(added);
}

/**
 * Packages that are still CommonJS call `require` for Node's own modules, which an ES module does not have: the
 * banner gives it one.
 */
async function bundle(entry: string): Promise<Buffer> {
  const result = await build({
    absWorkingDir: REPOSITORY,
    entryPoints: [entry],
    outfile: 'main.mjs',
    bundle: true,
    write: false,
    minify: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    logLevel: 'silent',
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
    },
  });
  const [output] = result.outputFiles;
  if (output === undefined) throw new Error(`${entry} bundles to nothing`);
  return Buffer.from(output.contents);
}

/** The image specification's name for this processor. */
function goArchitecture(): 'amd64' | 'arm64' {
  return process.arch === 'arm64' ? 'arm64' : 'amd64';
}
