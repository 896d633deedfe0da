import { mkdir, writeFile } from 'node:fs/promises';
import { bundle } from './bundle.ts';

/** `npm run build`: the two programs that the Dockerfiles copy. */
const PROGRAMS = { 'dist/operator.mjs': 'operator/main.ts', 'dist/worker.mjs': 'worker/main.ts' };

await mkdir('dist', { recursive: true });
for (const [file, entry] of Object.entries(PROGRAMS)) {
  const code = await bundle(entry);
  await writeFile(file, code);
  process.stdout.write(`${file} ${(code.byteLength / 1024 / 1024).toFixed(1)} MiB\n`);
}
