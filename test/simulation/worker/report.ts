import type { SeededRandom } from '../../support/seeded-random.ts';
import { indexList } from '../kubernetes/job-state.ts';
import { type Deed, EXIT_CODES } from './fate.ts';

/**
 * How a worker program of a queue tells its outcome: by its exit code alone, with result lists, or carelessly (garbage,
 * truncated, or contradicting itself now and then).
 */
export type Manner = 'plain' | 'lists' | 'careless';

/** What a worker did and said at its end. */
export interface Outcome {
  readonly exitCode: number;
  /** The text in its termination message. */
  readonly report: string;
  /** Positions of the messages that may be deleted on its word, if its Job ends as the exit code says. */
  readonly done: ReadonlySet<number>;
  /** Positions of the messages that it says can never succeed. */
  readonly rejected: ReadonlySet<number>;
}

/** The end of a worker that had these deeds to do, by position. */
export function outcomeOf(deeds: readonly Deed[], manner: Manner, random: SeededRandom): Outcome {
  const exitCode = exitCodeOf(deeds);
  const everything = new Set(deeds.keys());
  const succeeded = new Set(positionsOf(deeds, 'succeed'));
  const rejected = new Set(positionsOf(deeds, 'reject'));
  if (manner === 'careless' && random.chance(0.3)) return careless(exitCode, everything, random);
  if (manner === 'plain' || (exitCode === 0 && random.chance(0.5))) return wordless(exitCode, everything);
  const lists = {
    succeededIndexes: indexList(succeeded),
    ...(rejected.size > 0 && { rejectedIndexes: indexList(rejected) }),
    ...(exitCode !== 0 && random.chance(0.3) && { retryAfterSeconds: random.between(1, 30) }),
    reason: 'told in lists',
    summary: { messages: deeds.length },
  };
  return { exitCode, report: JSON.stringify(lists), done: succeeded, rejected };
}

/** The exit code stands for all of the messages. */
function wordless(exitCode: number, everything: ReadonlySet<number>): Outcome {
  const none = new Set<number>();
  return {
    exitCode,
    report: exitCode === 0 ? '' : 'went wrong',
    done: exitCode === 0 ? everything : none,
    rejected: exitCode === EXIT_CODES.reject ? everything : none,
  };
}

function careless(exitCode: number, everything: ReadonlySet<number>, random: SeededRandom): Outcome {
  const spoken = wordless(exitCode, everything);
  const none = new Set<number>();
  switch (random.between(0, 3)) {
    case 0:
      return { ...spoken, report: '{"succeededIndexes":"0-' };
    case 1:
      return { ...spoken, report: '\u0000{"succeededIndexes":"0-99999"}' };
    case 2:
      // Says of everything that it can never succeed, and that all is well.
      return exitCode === 0
        ? { exitCode, report: JSON.stringify({ rejectedIndexes: '0' }), done: none, rejected: none }
        : { ...spoken, report: 'null' };
    default:
      // Says that all is well and that nothing was done.
      return exitCode === 0
        ? { exitCode, report: JSON.stringify({ succeededIndexes: '' }), done: none, rejected: none }
        : { ...spoken, report: JSON.stringify({ succeededIndexes: 7, rejectedIndexes: 'all' }) };
  }
}

function exitCodeOf(deeds: readonly Deed[]): number {
  const wrong = deeds.filter((deed) => deed !== 'succeed');
  if (wrong.length === 0) return 0;
  // A program that rejects some and fails others says that it failed.
  const worst = wrong.find((deed) => deed !== 'reject') ?? 'reject';
  return wrong.includes('reject') && wrong.length < deeds.length && worst === 'reject'
    ? 1
    : EXIT_CODES[worst];
}

function positionsOf(deeds: readonly Deed[], wanted: Deed): number[] {
  return deeds.flatMap((deed, position) => (deed === wanted ? [position] : []));
}
