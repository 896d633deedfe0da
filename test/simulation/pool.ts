import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { Play } from './scenario/play.ts';

/** A history makes much that is soon forgotten: with more room for it there is less to collect. */
const YOUNG = { maxYoungGenerationSizeMb: 64 };

export interface Campaign {
  /** Tried in this order. */
  readonly seeds: Iterable<number>;
  /** Default: one for each core. */
  readonly threads?: number;
  /** Name of a planted fault. */
  readonly mutant?: string | undefined;
  /** Told of each seed as it ends; false ends the campaign. */
  readonly onPlay: (play: Play) => boolean;
}

/** Plays seeds on all cores, until they are through or `onPlay` says so. Rejects when a thread dies. */
export async function runCampaign({
  seeds,
  threads: count = availableParallelism(),
  mutant,
  onPlay,
}: Campaign): Promise<void> {
  const iterator = seeds[Symbol.iterator]();
  const threads = Array.from(
    { length: count },
    () =>
      new Worker(new URL('./thread.ts', import.meta.url), { workerData: { mutant }, resourceLimits: YOUNG }),
  );
  try {
    await new Promise<void>((resolve, reject) => {
      let busy = 0;
      const next = (thread: Worker) => {
        const { value, done } = iterator.next();
        if (!done) {
          busy += 1;
          // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread is no window
          thread.postMessage(value);
        } else if (busy === 0) resolve();
      };
      for (const thread of threads) {
        thread.on('error', reject);
        thread.on('message', (play: Play) => {
          busy -= 1;
          if (onPlay(play)) next(thread);
          else resolve();
        });
        next(thread);
      }
    });
  } finally {
    await Promise.all(threads.map((thread) => thread.terminate()));
  }
}
