import { parentPort, workerData } from 'node:worker_threads';
import { plant } from './mutants/mutant.ts';
import { MUTANTS } from './mutants/table.ts';

/** A thread that plays the seeds it is sent, on production code with or without a planted fault. */
const { mutant: name }: { mutant: string | undefined } = workerData;
const mutant = MUTANTS.find((each) => each.name === name);
if (mutant) plant(mutant);
// Histories are full of errors, and nobody reads where each was made: `--seed` replays in a process of its own.
Error.stackTraceLimit = 0;
// Only now: what is planted must be there before the first production module is read.
const { play } = await import('./scenario/play.ts');

parentPort?.on('message', (seed: number) => {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread is no window
  void play(seed).then((result) => parentPort?.postMessage(result));
});
