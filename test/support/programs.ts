/** Programs of this machine as files for an image (`buildImage`). */
import { spawnSync } from 'node:child_process';
import { parseLdd } from '../cluster/base-layer.ts';
import { run } from '../cluster/run.ts';
import { lookUpTool } from '../cluster/tools.ts';

/** Path in the image to path on disk; both are the same here. */
export type ImageFiles = Readonly<Record<string, string>>;

/** These commands and the libraries they need; or the name of one that is not installed. */
export async function commandFiles(
  names: readonly string[],
): Promise<ImageFiles | { readonly missing: string }> {
  const paths: string[] = [];
  for (const name of names) {
    const path = lookUpTool(name);
    if (path === undefined) return { missing: name };
    paths.push(path, ...(await librariesOf(path)));
  }
  return sameInImage(paths);
}

/** This machine's Python with the modules named, all at their own paths, and the path of its program. */
export async function pythonFiles(
  modules: readonly string[],
): Promise<{ readonly python: string; readonly files: ImageFiles } | { readonly missing: string }> {
  const program = [
    `import sys, ${modules.join(', ')}`,
    'loaded = [getattr(module, "__file__", None) for module in list(sys.modules.values())]',
    'print(sys.executable, *[file for file in loaded if file], sep="\\n")',
  ].join('\n');
  const { status, stdout } = spawnSync('python3', ['-I', '-c', program], { encoding: 'utf8' });
  if (status !== 0) return { missing: 'python3' };
  const [python = '', ...loaded] = stdout.trim().split('\n');
  const binaries = [python, ...loaded.filter((file) => file.endsWith('.so'))];
  const libraries = await Promise.all(binaries.map(librariesOf));
  return { python, files: sameInImage([python, ...loaded, ...libraries.flat()]) };
}

async function librariesOf(binary: string): Promise<readonly string[]> {
  return parseLdd(await run('ldd', [binary]));
}

function sameInImage(paths: readonly string[]): ImageFiles {
  return Object.fromEntries(paths.map((path) => [path, path]));
}
