import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { fileURLToPath } from 'node:url';

const ROOT = new URL('../../../', import.meta.url);

/** One text of a production module and what stands there instead. */
export interface Edit {
  /** Relative to the root of the repository. */
  readonly file: string;
  /** Must stand there exactly once. */
  readonly find: string;
  readonly replace: string;
}

/** A planted fault: a simulation that does not find it proves nothing about what it breaks. */
export interface Mutant {
  readonly name: string;
  /** What no longer holds, in a sentence. */
  readonly breaks: string;
  readonly edits: readonly Edit[];
  /** A seed that has found it; when it no longer does, the others are tried from 1 on. */
  readonly seed: number;
}

/**
 * Plants a mutant in this thread, for modules that are imported from now on; sources on disk stay as they are. Throws
 * when one of its texts is not there exactly once: a mutant that changes nothing must not pass for one that is found.
 */
export function plant(mutant: Mutant): void {
  const edits = new Map<string, Edit[]>();
  for (const edit of mutant.edits) {
    assertAnchored(mutant.name, edit);
    const { href } = new URL(edit.file, ROOT);
    edits.set(href, [...(edits.get(href) ?? []), edit]);
  }
  registerHooks({
    load: (url, context, nextLoad) => {
      const loaded = nextLoad(url, context);
      const own = edits.get(url);
      if (!own) return loaded;
      const source = own.reduce(
        (text, { find, replace }) => text.replace(find, () => replace),
        textOf(loaded),
      );
      return { ...loaded, source };
    },
  });
}

/** Throws unless the text of an edit stands in its file exactly once. */
export function assertAnchored(mutant: string, { file, find }: Edit): void {
  const text = readFileSync(fileURLToPath(new URL(file, ROOT)), 'utf8');
  const times = text.split(find).length - 1;
  if (times !== 1) throw new Error(`mutant ${mutant}: its text stands ${times} times in ${file}: ${find}`);
}

function textOf({
  source,
}: {
  readonly source?: string | ArrayBuffer | NodeJS.TypedArray | null | undefined;
}): string {
  if (typeof source === 'string') return source;
  if (source === undefined || source === null) throw new Error('a module was loaded without its source');
  return new TextDecoder().decode(source);
}
