/** Programs of this machine as files for an image (`buildImage`). */
import { parseLdd } from '../cluster/base-layer.ts';
import { run } from '../cluster/run.ts';
import { findTool } from '../cluster/tools.ts';

/** Path in the image to path on disk; both are the same here. */
type ImageFiles = Readonly<Record<string, string>>;

/** These commands and the libraries they need. Throws when one is not installed. */
export async function commandFiles(names: readonly string[]): Promise<ImageFiles> {
  const paths = names.map(findTool);
  const libraries = await Promise.all(paths.map(librariesOf));
  return sameInImage([...paths, ...libraries.flat()]);
}

/** This machine's Python with these modules, all at their own paths, and the path of its program. Throws without one. */
export async function pythonFiles(
  modules: readonly string[],
): Promise<{ readonly python: string; readonly files: ImageFiles }> {
  const program = [
    `import sys, ${modules.join(', ')}`,
    'loaded = [getattr(module, "__file__", None) for module in list(sys.modules.values())]',
    'print(sys.executable, *[file for file in loaded if file], sep="\\n")',
  ].join('\n');
  const [python = '', ...loaded] = (await run('python3', ['-I', '-c', program])).trim().split('\n');
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
