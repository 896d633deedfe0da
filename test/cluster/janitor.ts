/**
 * The janitor: a process of its own session, outside the cluster's namespaces, that takes the cluster down as soon as
 * its launcher stops or dies. The kernel closes the launcher's end of the pipe on any death, SIGKILL included.
 *
 * Run as: node janitor.ts SLOT RUN-DIRECTORY, with a pipe from the launcher as stdin.
 */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { removeCluster } from './teardown.ts';

const [slot, directory] = process.argv.slice(2);
if (slot === undefined || directory === undefined) throw new Error('usage: janitor.ts SLOT RUN-DIRECTORY');

// Ctrl-C in a terminal must not end the one process that cleans up.
for (const signal of ['SIGINT', 'SIGHUP', 'SIGPIPE'] as const) process.on(signal, () => undefined);

await new Promise<void>((resolve) => {
  process.once('SIGTERM', () => resolve());
  process.stdin.on('close', () => resolve()).on('error', () => resolve());
  process.stdin.resume();
});
process.stdin.destroy();
try {
  await removeCluster({ slot: Number(slot), mark: directory, directory });
} catch (error) {
  // The run directory is still there: the reason belongs in it, next to what could not be removed.
  writeFileSync(
    path.join(directory, 'teardown-error'),
    `${error instanceof Error ? error.stack : String(error)}\n`,
  );
  process.exitCode = 1;
}
