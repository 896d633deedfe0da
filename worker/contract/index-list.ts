/** Index lists in the text form of a Job's `completedIndexes`: `0-4,6`. */

/**
 * The text of a set of indexes: ascending, runs of two or more joined by a hyphen, no spaces, empty for none.
 * Order and repetition of the argument do not matter.
 */
export function indexListText(indexes: readonly number[]): string {
  const sorted = [...new Set(indexes)].sort((left, right) => left - right);
  const runs: { first: number; last: number }[] = [];
  for (const index of sorted) {
    const run = runs.at(-1);
    if (run !== undefined && run.last + 1 === index) run.last = index;
    else runs.push({ first: index, last: index });
  }
  return runs.map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`)).join(',');
}
