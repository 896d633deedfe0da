import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const REPOSITORY = fileURLToPath(new URL('..', import.meta.url));

/**
 * Packages that are still CommonJS call `require` for Node's own modules, which an ES module does not have: this gives
 * them one.
 */
const REQUIRE_BANNER =
  "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);";

/**
 * One program of this repository with everything it imports, as one ES module for Node 24. Same sources, same bytes.
 * `entry` is a path below the repository. Throws when it does not bundle.
 */
export async function bundle(entry: string): Promise<Uint8Array> {
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
    banner: { js: REQUIRE_BANNER },
  });
  const [output] = result.outputFiles;
  if (output === undefined) throw new Error(`${entry} bundles to nothing`);
  return output.contents;
}
