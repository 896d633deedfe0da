/** No BatchQueue runs more Jobs; a larger burst goes to several, so that making Jobs is all that is compared. */
export const MAX_CONCURRENT_JOBS = 1_000;
const LATE_COUNTS_SECONDS = 30;

/** How many messages come at once. */
export interface BurstSizes {
  readonly bursts: readonly number[];
  /** Of the burst during which the queue's counts are late. */
  readonly lateBurst: number;
  /** How often everything but lone messages comes; an odd number, of which the median counts. */
  readonly rounds: number;
}

/** So many messages at once, once or several times. */
export interface Burst {
  readonly messages: number;
  readonly countsLateSeconds: number;
  readonly rounds: readonly Round[];
}

/** One time that the messages of a burst come. */
export interface Round {
  readonly name: string;
  /** Each gets as many of the messages, at the same time. */
  readonly queues: readonly string[];
}

/** All bursts, the one with late counts last. */
export function burstsOf({ bursts, lateBurst, rounds }: BurstSizes): readonly Burst[] {
  return [
    ...bursts.map((messages) => aBurst(`burst-${messages}`, messages, { rounds, countsLateSeconds: 0 })),
    aBurst('burst-late', lateBurst, { rounds, countsLateSeconds: LATE_COUNTS_SECONDS }),
  ];
}

function aBurst(
  name: string,
  messages: number,
  { rounds, countsLateSeconds }: { rounds: number; countsLateSeconds: number },
): Burst {
  const count = Math.ceil(messages / MAX_CONCURRENT_JOBS);
  return {
    messages: Math.ceil(messages / count) * count,
    countsLateSeconds,
    rounds: Array.from({ length: rounds }, (_, round) => {
      const queues = Array.from({ length: count }, (__, index) => `${name}-${round}-${index}`);
      return { name: `${name}-${round}`, queues };
    }),
  };
}
