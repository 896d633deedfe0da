import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { BadRowAt } from '../../../worker/bad-row.ts';
import { factorsFrom } from '../../../worker/factors.ts';
import { processedValues } from '../../../worker/processed-value.ts';
import { RowEngine } from '../../../worker/row-engine.ts';
import { namedColumns, oneForOne, type RowsTransform } from '../../../worker/rows-transform.ts';
import { noTotals } from '../../../worker/totals.ts';

const plain = () => oneForOne(processedValues(factorsFrom('s')));

/** Both files of an input that arrives in blocks of this size, as the bytes they are. */
function run(text: string, transform: RowsTransform = plain(), blockBytes = 64 * 1024) {
  const totals = noTotals();
  const engine = new RowEngine({ transform, setsAside: true, firstByte: 0, totals });
  const input = Buffer.from(text);
  const made = [];
  for (let at = 0; at < input.length; at += blockBytes) {
    made.push(engine.feed(input.subarray(at, at + blockBytes)));
  }
  made.push(engine.finish());
  return {
    output: Buffer.concat(made.map(({ output }) => output)).toString(),
    rejected: Buffer.concat(made.map(({ rejected }) => rejected)).toString(),
    totals,
  };
}

/** The lines of the file of bad rows: line, column, first words of the reason, the row. */
const rejectedBy = (text: string) => run(text).rejected.split('\n').slice(1, -1);
const idsIn = (output: string) =>
  output
    .split('\n')
    .slice(1, -1)
    .map((line) => line.split(',')[0]);

describe('An engine that sets bad rows aside', () => {
  test('goes on after them, and says line, column, reason and the row', () => {
    const { output, rejected, totals } = run('ID,Value\r\n1,10\r\n2,abc\r\n\r\n3\r\n4,5\r\n');
    expect(idsIn(output)).toEqual(['1', '4']);
    expect(rejected.split('\n')).toEqual([
      'Line,Column,Reason,Row',
      expect.stringMatching(/^3,Value,"got ""abc"", allowed: a decimal number .*","2,abc"$/),
      '5,,"got 1 field, allowed: 2 (ID,Value)",3',
      '',
    ]);
    expect(totals).toMatchObject({ rowsIn: 4, rowsOut: 2, rowsRejected: 2 });
  });

  test('draws factors for good rows alone, so that they are what they would be without the bad ones', () => {
    const good = run('ID,Value\n1,1\n2,2\n3,3\n').output;
    expect(run('ID,Value\nx\n1,1\n2,2\n9,bad\n3,3\n"').output).toBe(good);
  });

  test('gives a row that is not CSV up at its first line end', () => {
    expect(idsIn(run('ID,Value\n1,1\n2,"2"x\n3,3\n').output)).toEqual(['1', '3']);
    expect(idsIn(run('ID,Value\n1,1\n"2,2\n3,3\n4,4\n').output)).toEqual(['1', '3', '4']);
    expect(idsIn(run('ID,Value\n1,1\n"2,2\n3,3\n"4",4\n"5",5').output)).toEqual(['1', '3', '4', '5']);
    expect(rejectedBy('ID,Value\n1,1\n\n"2,2\n3,3\n\r\n"4"5,6\n7,8\n"')).toEqual([
      expect.stringMatching(/^4,ID,"got text after a closing quote.*","""2,2"$/),
      expect.stringMatching(/^7,ID,"got text after a closing quote.*","""4""5,6"$/),
      expect.stringMatching(/^9,ID,"got a quoted field that never ends.*",""""$/),
    ]);
  });

  test('keeps line numbers right after quoted line ends of every kind', () => {
    expect(rejectedBy('ID,Value\r\n"a\r\nb\nc",1\r\n2,x\r\n"d\r\ne",y\r\n3,z')).toEqual([
      expect.stringMatching(/^5,Value,.*,"2,x"$/),
      expect.stringMatching(/^6,Value,"got ""y"".*,"""d\r$/),
      expect.stringMatching(/^e"",y"$/),
      expect.stringMatching(/^8,Value,.*,"3,z"$/),
    ]);
  });

  test('passes over a line that is longer than a row may be', () => {
    const long = 'x'.repeat(3 * 1024 * 1024);
    const { output, totals } = run(`ID,Value\n1,1\n${long},2\n3,3\n"${long}`);
    expect(idsIn(output)).toEqual(['1', '3']);
    expect(totals).toMatchObject({ rowsIn: 4, rowsRejected: 2 });
  });

  test('sets the first MiB of an overlong row aside, wherever blocks end', () => {
    const long = 'x'.repeat(1_100_000);
    const text = `ID,Value\n1,1\n"${long}\n"2"x${long}\n3,${long}\n4,4`;
    const whole = run(text);
    for (const blockBytes of [10_000, 65_536, 70_001]) expect(run(text, plain(), blockBytes)).toEqual(whole);
    const rows = whole.rejected.split('\n').slice(1, -1);
    expect(rows.map((row) => row.slice(0, 2))).toEqual(['3,', '4,', '5,']);
    expect(rows.at(-1)).toMatch(/"3,x{1048574}"$/);
    expect(idsIn(whole.output)).toEqual(['1', '4']);
  });

  test('takes a row of more fields than bytes are allowed for an overlong one, wherever blocks end', () => {
    const long = ','.repeat(1_048_600);
    const text = `ID,Value\n1,1\n${long}a"\n${long}\n2,2\n${long}`;
    const whole = run(text);
    expect(whole.rejected.match(/got a row longer than 1 MiB/g)).toHaveLength(3);
    expect(run(text, plain(), 65_536)).toEqual(whole);
  });

  test.each([
    ['', 'got an empty file'],
    ['\n\n', 'got an empty file'],
    ['Id,Value\n1,1\n', 'got the header "Id,Value"'],
    ['"ID,Value\n1,1\n', 'got a quoted field that never ends'],
  ])('refuses a file without its header: %j', (text, message) => {
    expect(() => run(text)).toThrow(message);
  });

  test('writes the same for any text, however it is cut into blocks, and accounts for every row', () => {
    const piece = fc.constantFrom(
      'a',
      'é',
      '1',
      '.5',
      ',',
      ',',
      '"',
      '""',
      '\n',
      '\n',
      '\r\n',
      '\r',
      '1,2\n',
    );
    const text = fc.array(piece, { maxLength: 60 }).map((pieces) => `ID,Value\n${pieces.join('')}`);
    fc.assert(
      fc.property(text, fc.integer({ min: 1, max: 9 }), (content, blockBytes) => {
        const whole = run(content);
        expect(run(content, plain(), blockBytes)).toEqual(whole);
        const { rowsIn, rowsOut, rowsRejected } = whole.totals;
        expect(rowsIn).toBe(rowsOut + rowsRejected);
      }),
      { numRuns: 2000 },
    );
  });
});

test('An engine that does not set bad rows aside throws the first one with its place', () => {
  const options = { transform: plain(), setsAside: false, firstByte: 3, totals: noTotals() };
  const engine = new RowEngine(options);
  expect(() => engine.feed(Buffer.from('ID,Value\n1,1\n\n2,x\n3\n'))).toThrow(
    expect.objectContaining({ name: BadRowAt.name, offset: 3 + 13, columnName: 'Value' }),
  );
});

describe('Named columns', () => {
  const columns = { id: 'Bestellung', value: 'Betrag €' };
  const output = (text: string) => run(text, oneForOne(namedColumns(columns, factorsFrom('s'))));

  test('may stand anywhere; the output has the standard ones', () => {
    const standard = run('ID,Value\na,1\nb,2\n').output;
    expect(output('Betrag €,x,Bestellung\n1,,a\n2,"y,z",b\n').output).toBe(standard);
  });

  test('that are missing or there twice refuse the file', () => {
    expect(() => output('Bestellung,Betrag\na,1\n')).toThrow(
      'got the header "Bestellung,Betrag", allowed: a header that has the column "Betrag €" once',
    );
    expect(() => output('Bestellung,Bestellung,Betrag €\n')).toThrow('the column "Bestellung" once');
  });

  test('are what a bad row is measured by', () => {
    expect(output('Betrag €,x,Bestellung\nabc,,1\n2,3\n').rejected.split('\n').slice(1)).toEqual([
      expect.stringMatching(/^2,Betrag €,"got ""abc"", allowed: a decimal/),
      '3,,"got 2 fields, allowed: 3, as in the header","2,3"',
      '',
    ]);
  });
});
