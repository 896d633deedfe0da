import { MUTANTS } from './mutants/table.ts';
import { runCampaign } from './pool.ts';
import type { Play } from './scenario/play.ts';
import { STATES, type State } from './states.ts';

/** What many seeds showed together. */
export interface Findings {
  readonly played: number;
  /** The first seed that broke something, by number. */
  readonly broken: Play | undefined;
  /** How many seeds have seen each state. */
  readonly seen: ReadonlyMap<State, number>;
  readonly virtualMs: number;
}

/** Plays that many seeds; ends at the first violation. */
export async function playSeeds(
  from: number,
  count: number,
  onProgress: (played: number) => void = () => undefined,
): Promise<Findings> {
  const seen = new Map<State, number>(STATES.map((state) => [state, 0]));
  let played = 0;
  let virtualMs = 0;
  let broken: Play | undefined;
  await runCampaign({
    seeds: range(from, count),
    onPlay: (play) => {
      played += 1;
      virtualMs += play.virtualMs;
      for (const state of play.seen) seen.set(state, (seen.get(state) ?? 0) + 1);
      if (play.violations.length > 0) broken = play;
      onProgress(played);
      return broken === undefined;
    },
  });
  return { played, broken, seen, virtualMs };
}

export interface Hunt {
  readonly mutant: string;
  /** The play that found it; undefined: it got away. */
  readonly found: Play | undefined;
  /** How many seeds that took. */
  readonly played: number;
}

/**
 * Looks for a planted fault: with the seed that is known to find it, if `from` is not given, then with others in turn.
 * Another seed that breaks something without the fault as well has not found it.
 */
export async function hunt(name: string, limit: number, from?: number): Promise<Hunt> {
  const mutant = MUTANTS.find((each) => each.name === name);
  if (!mutant)
    throw new Error(`no mutant is called ${name}; there are: ${MUTANTS.map((each) => each.name).join(', ')}`);
  if (from === undefined) {
    const { suspect } = await firstSuspect(name, [mutant.seed][Symbol.iterator](), 1);
    if (suspect) return { mutant: name, found: suspect, played: 1 };
  }
  const seeds = range(from ?? 1, limit);
  let played = 0;
  for (;;) {
    const { suspect, played: more } = await firstSuspect(name, seeds);
    played += more;
    if (!suspect) return { mutant: name, found: undefined, played };
    if (!(await isBroken(suspect.seed))) return { mutant: name, found: suspect, played };
  }
}

/** The first play with the fault that breaks something, and how many it took. */
async function firstSuspect(
  mutant: string,
  seeds: Iterator<number>,
  threads?: number,
): Promise<{ suspect: Play | undefined; played: number }> {
  let played = 0;
  let suspect: Play | undefined;
  await runCampaign({
    seeds: { [Symbol.iterator]: () => seeds },
    ...(threads !== undefined && { threads }),
    mutant,
    onPlay: (play) => {
      played += 1;
      if (play.violations.length > 0) suspect ??= play;
      return suspect === undefined;
    },
  });
  return { suspect, played };
}

/** True when a seed breaks something without any fault planted. */
async function isBroken(seed: number): Promise<boolean> {
  let broken = false;
  const onPlay = ({ violations }: Play) => {
    broken = violations.length > 0;
    return true;
  };
  await runCampaign({ seeds: [seed], threads: 1, onPlay });
  return broken;
}

function* range(from: number, count: number): Generator<number> {
  for (let seed = from; seed < from + count; seed += 1) yield seed;
}
