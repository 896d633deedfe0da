import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { runCsvTask } from '../../../worker/csv-task.ts';
import { noTotals } from '../../../worker/totals.ts';
import { namesIn, workspace } from './workspace.ts';

const goOn = new AbortController().signal;
let root: string;
beforeAll(async () => {
  root = await workspace();
});

/** Runs the task on a file with this content; the output's text, or whatever was thrown. */
async function output(content: string | Buffer): Promise<string> {
  await writeFile(join(root, 'a.csv'), content);
  const location = (relative: string) => ({ root, relative, shown: relative });
  const totals = noTotals();
  await runCsvTask({ input: location('a.csv'), output: location('b.csv'), seed: 's' }, totals, goOn);
  const published = await readFile(join(root, 'b.csv'));
  expect(totals).toMatchObject({ bytesIn: Buffer.byteLength(content), bytesOut: published.length });
  return published.toString('latin1');
}

/** The first two fields of each output line, for contents without quotes. */
async function passed(content: string | Buffer): Promise<string[]> {
  return (await output(content))
    .split('\n')
    .slice(1, -1)
    .map((line) => line.replace(/,[^,]*$/, ''));
}

describe('A CSV file that is right', () => {
  test('gets its third column, and a header alone gives a header alone', async () => {
    expect(await output('ID,Value\n1,100\n')).toMatch(
      /^ID,Value,ProcessedValue\n1,100,(8\d|9\d|1[01]\d)\.\d+\n$/,
    );
    expect(await output('ID,Value\n')).toBe('ID,Value,ProcessedValue\n');
    expect(await output('ID,Value')).toBe('ID,Value,ProcessedValue\n');
  });

  test('may have CRLF, mixed line ends, blank lines, a byte order mark and no line end at the end', async () => {
    expect(await passed('ID,Value\r\n1,2\r\n3,4\r\n')).toEqual(['1,2', '3,4']);
    expect(await passed('\n\r\nID,Value\n\n1,2\r\n\r\n3,4\n5,6')).toEqual(['1,2', '3,4', '5,6']);
    expect(await passed('\ufeffID,Value\n1,2\n')).toEqual(['1,2']);
    expect(await passed('\ufeff"ID","Value"\r\n"1","2"\r\n')).toEqual(['1,2']);
  });

  test('keeps line feeds, carriage returns, commas and quotes inside quotes', async () => {
    expect(await output('ID,Value\r\n"a\r\nb\n,""\r",1\r\n')).toMatch(
      /^ID,Value,ProcessedValue\n"a\r\nb\n,""\r",1,[\d.]+\n$/,
    );
  });

  test('keeps the bytes of every field, in whatever encoding', async () => {
    const windows1252 = Buffer.from('ID,Value\nJos\xe9\x80,1\n', 'latin1');
    expect(await passed(windows1252)).toEqual(['Jos\xe9\x80,1']);
    const utf8 = Buffer.from('\ufeffID,Value\n日本\u2028😀,1\n');
    expect(await passed(utf8)).toEqual([Buffer.from('日本\u2028😀,1').toString('latin1')]);
  });

  test('may have rows of almost a megabyte, and rows across every block', async () => {
    const long = 'x'.repeat(1024 * 1024 - 10);
    expect(await passed(`ID,Value\n${long},1\n`)).toEqual([`${long},1`]);
    const rows = Array.from({ length: 30_000 }, (_, index) => `${'y'.repeat(index % 17)}${index},${index}.5`);
    expect(await passed(`ID,Value\n${rows.join('\r\n')}`)).toEqual(rows);
  });

  test('gives the same bytes every time', async () => {
    const content = `ID,Value\n${'1,5\n'.repeat(1000)}`;
    expect(await output(content)).toBe(await output(content));
  });
});

describe('A CSV file that is wrong is refused, nothing is published, and the message says', () => {
  const rows = (count: number) => '1,2\n'.repeat(count);

  test.each<[string, string | Buffer, string]>([
    ['an empty file', '', 'a.csv, line 1: got an empty file, allowed: a header line ID,Value'],
    ['only blank lines', '\n\r\n\n', 'got an empty file'],
    ['only a byte order mark', '\ufeff', 'a.csv, line 1: got an empty file'],
    ['another header', 'Id,Value\n1,2\n', 'a.csv, line 1: got the header "Id,Value", allowed: ID,Value'],
    ['a header with another delimiter', 'ID;Value\n1;2\n', 'line 1: got the header "ID;Value"'],
    ['a header with spaces', '\r\nID, Value\n', 'line 2: got the header "ID, Value"'],
    ['a header with more columns', 'ID,Value,Extra\n1,2\n', 'line 1: got the header "ID,Value,Extra"'],
    ['no header', '1,2\n', 'line 1: got the header "1,2"'],
    [
      'UTF-16',
      Buffer.from('\ufeffID,Value\n1,2\n', 'utf16le'),
      'input a.csv: got UTF-16 text, allowed: CSV in UTF-8 or another encoding that extends ASCII',
    ],
    ['UTF-16 the other way round', Buffer.from('\ufeffID\n', 'utf16le').swap16(), 'got UTF-16 text'],
    ['UTF-16 without a mark', Buffer.from('ID,Value\n', 'utf16le'), 'got UTF-16 text'],
    [
      'UTF-16 without a mark the other way round',
      Buffer.from('ID,Value\n', 'utf16le').swap16(),
      'got UTF-16 text',
    ],
    ['UTF-32', Buffer.from('\ufeff\0I\0', 'utf16le'), 'got UTF-32 text'],
    [
      'zeros before its header',
      '\0\0\0ID,Value\n',
      String.raw`line 1: got the header "\u{0}\u{0}\u{0}ID,Value"`,
    ],
    ['a gzip file', gzipSync('ID,Value\n1,2\n'), 'got a gzip file'],
    [
      'a second byte order mark',
      '\ufeff\ufeffID,Value\n1,2\n',
      String.raw`got the header "\u{feff}ID,Value"`,
    ],
    [
      'a byte order mark inside',
      'ID,Value\n1,\ufeff2\n',
      String.raw`line 2, column 2 (Value): got "\u{feff}2"`,
    ],
    ['zeros where a row was lost', 'ID,Value\n1,2\n\0\0\0\0\0\n3,4\n', 'line 3: got 1 field, allowed: 2'],
    ['a row that was cut off in its number', 'ID,Value\n1,2\n3,4e', 'line 3, column 2 (Value): got "4e"'],
    [
      'a bad value',
      'ID,Value\n1,2\n3,abc\n',
      'a.csv, line 3, column 2 (Value): got "abc", allowed: a decimal number',
    ],
    ['an empty value', 'ID,Value\n1,\n', 'line 2, column 2 (Value): got "", allowed: a decimal number'],
    ['a bad value at the end without a line end', 'ID,Value\n1,2\n3,x', 'line 3, column 2 (Value): got "x"'],
    ['a short row', 'ID,Value\n1,2\n3\n', 'line 3: got 1 field, allowed: 2 (ID,Value)'],
    ['a long row', 'ID,Value\n1,2,3\n', 'line 2: got 3 fields, allowed: 2'],
    ['a trailing comma', 'ID,Value\n1,2,\n', 'line 2: got 3 fields'],
    [
      'a quote that never ends',
      'ID,Value\n1,2\n"3,4\n5,6\n',
      'line 3, column 1 (ID): got a quoted field that never ends',
    ],
    [
      'a quote in an unquoted field',
      'ID,Value\n1,2"\n',
      'line 2, column 2 (Value): got a quote inside an unquoted field',
    ],
    [
      'text after a closing quote',
      'ID,Value\n"a"b,2\n',
      'line 2, column 1 (ID): got text after a closing quote',
    ],
    [
      'a row over 1 MiB',
      `ID,Value\n1,2\n${'x'.repeat(1024 * 1024 + 10)},1\n`,
      'line 3: got a row longer than 1 MiB',
    ],
    [
      'a quote that swallows the file',
      `ID,Value\n1,2\n"${rows(300_000)}`,
      'line 3: got a row longer than 1 MiB',
    ],
  ])('%s', async (_name, content, message) => {
    await writeFile(join(root, 'b.csv'), 'as it was');
    await expect(output(content)).rejects.toMatchObject({
      verdict: 'reject',
      message: expect.stringContaining(message),
    });
    expect(await readFile(join(root, 'b.csv'), 'utf8')).toBe('as it was');
    expect((await namesIn(root)).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  test.each<[string, string, number]>([
    ['after CRLF inside quotes', 'ID,Value\r\n"a\r\nb\r\nc",1\r\n2,x\r\n', 5],
    ['after LF inside quotes in a CRLF file', 'ID,Value\r\n"a\nb",1\r\n2,x\r\n', 4],
    ['after a lone CR inside quotes', 'ID,Value\n"a\rb",1\n2,x\n', 3],
    ['after blank lines', 'ID,Value\r\n\r\n\n1,2\n\n\r\n2,x\n', 7],
    ['after a byte order mark', '\ufeffID,Value\n1,x\n', 2],
    ['where the bad row begins, when it has several', 'ID,Value\n"a\nb",x\n', 2],
    ['of a row far behind', `ID,Value\n${rows(200_000)}\r\n1,x\n`, 200_003],
    ['of the first of several bad rows', `ID,Value\n1,2\n1,x\n1\n"`, 3],
    ['of a bad value before a broken quote', `ID,Value\n1,x\n"a"b,1\n`, 2],
    ['of a ragged row before a bad value', `ID,Value\n1\n1,x\n`, 2],
  ])('the line %s as an editor shows it', async (_name, content, line) => {
    await expect(output(content)).rejects.toThrow(new RegExp(`^a\\.csv, line ${line}[,:]`));
  });
});
