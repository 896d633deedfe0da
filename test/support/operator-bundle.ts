import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { bundle } from '../../scripts/bundle.ts';

/** The operator as its image has it: one file, which starts three times as fast as the sources. */
export class OperatorBundle {
  readonly #directory: string;

  private constructor(directory: string) {
    this.#directory = directory;
  }

  static async make(): Promise<OperatorBundle> {
    const made = new OperatorBundle(await mkdtemp(path.join(tmpdir(), 'batchqueue-bundle-')));
    await writeFile(made.program(), await bundle('operator/main.ts'));
    return made;
  }

  program(): string {
    return path.join(this.#directory, 'operator.mjs');
  }

  async remove(): Promise<void> {
    await rm(this.#directory, { recursive: true });
  }
}
