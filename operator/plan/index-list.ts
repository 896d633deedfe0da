/** Lists of indexes in the text form of a Job's `completedIndexes`: ascending, ranges with a hyphen, `0-4,6`. */

/** No Job of ours has more messages; a worker's list is read as untrusted input. */
const MAX_INDEXES = 100;
const LIST = /^(\d{1,3}(-\d{1,3})?)(,\d{1,3}(-\d{1,3})?)*$/;

/** Undefined when the text is no such list, or names an index of `size` or above. An empty text is the empty list. */
export function parseIndexes(text: string, size: number): ReadonlySet<number> | undefined {
  const indexes = new Set<number>();
  if (text === '') return indexes;
  if (!LIST.test(text)) return undefined;
  for (const part of text.split(',')) {
    const [first = 0, last = first] = part.split('-').map(Number);
    if (first > last || last >= Math.min(size, MAX_INDEXES)) return undefined;
    for (let index = first; index <= last; index += 1) indexes.add(index);
  }
  return indexes;
}

/** The shortest text; undefined for the empty list, so that the field can be left out. */
export function formatIndexes(indexes: Iterable<number>): string | undefined {
  const ranges: [first: number, last: number][] = [];
  for (const index of [...indexes].toSorted((a, b) => a - b)) {
    const open = ranges.at(-1);
    if (open && index === open[1] + 1) open[1] = index;
    else ranges.push([index, index]);
  }
  if (ranges.length === 0) return undefined;
  return ranges.map(([first, last]) => (first === last ? String(first) : `${first}-${last}`)).join(',');
}
