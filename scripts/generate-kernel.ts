/**
 * Compiles the AssemblyScript below `worker/kernel/assembly` into `worker/kernel/kernel.generated.json`, a WebAssembly
 * module in base64. With `--check` it writes nothing and exits with 1 when the file is not what would be written.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { main } from 'assemblyscript/asc';

const ENTRY = 'worker/kernel/assembly/kernel.ts';
const TARGET = 'worker/kernel/kernel.generated.json';

/** The same bytes with every call. Throws when the sources do not compile. */
async function compiled(): Promise<Uint8Array> {
  let binary: Uint8Array | undefined;
  const { error } = await main(
    [ENTRY, '-O3', '--runtime', 'stub', '--noAssert', '--importMemory', '--outFile', 'kernel.wasm'],
    {
      writeFile: (_name, contents) => {
        if (typeof contents !== 'string') binary = contents;
      },
    },
  );
  if (error !== null) throw error;
  if (binary === undefined) throw new Error(`${ENTRY} compiled to nothing`);
  return binary;
}

process.chdir(new URL('..', import.meta.url).pathname);
const text = `${JSON.stringify({ wasm: Buffer.from(await compiled()).toString('base64') })}\n`;
if (!process.argv.includes('--check')) {
  writeFileSync(TARGET, text);
} else if (readFileSync(TARGET, 'utf8') !== text) {
  process.stderr.write(`${TARGET} is not what its sources say: run npm run generate:kernel\n`);
  process.exitCode = 1;
}
