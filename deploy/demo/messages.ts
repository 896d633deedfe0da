/** What the demo sends: twenty messages, each naming a CSV on the volume. */

/** One message and the file it names, before anything has run. */
export interface DemoMessage {
  /** Path on the volume, relative. */
  readonly input: string;
  readonly output: string;
  readonly csv: string;
}

/** The one message that can never succeed. */
export const BAD_INPUT = 'in/bad-row.csv';
/** The tutorial's own file, also used for trying by hand. */
export const TUTORIAL_INPUT = 'in/input.csv';

const LARGE_ROWS = 300_000;
const TOTAL = 20;

/** Twenty messages: the tutorial's `input.csv`, a large file, one with a bad row, and ordinary ones. Always the same. */
export function demoMessages(): readonly DemoMessage[] {
  const special: readonly [string, string][] = [
    [TUTORIAL_INPUT, TUTORIAL_CSV],
    ['in/large.csv', rows(LARGE_ROWS, 1)],
    [BAD_INPUT, TUTORIAL_CSV.replace('7,350.7', '7,three hundred and fifty')],
  ];
  const ordinary = Array.from({ length: TOTAL - special.length }, (_, index): [string, string] => {
    const number = String(index + 1).padStart(2, '0');
    return [`in/orders-${number}.csv`, rows(100 * (index + 1), index + 2)];
  });
  return [...special, ...ordinary].map(([input, csv]) => ({
    input,
    output: input.replace(/^in\//, 'out/'),
    csv,
  }));
}

const TUTORIAL_CSV = `ID,Value
1,100.5
2,200.3
3,150.2
4,400.6
5,300.1
6,250.4
7,350.7
8,450.9
9,500.0
10,600.8
`;

/** `count` rows with one or two decimals; `seed` makes the files differ. */
function rows(count: number, seed: number): string {
  const lines = Array.from({ length: count }, (_, index) => {
    const cents = ((index + seed) * 7919) % 100_000;
    return `${index + 1},${(cents / 100).toFixed(1 + (index % 2))}`;
  });
  return `ID,Value\n${lines.join('\n')}\n`;
}
