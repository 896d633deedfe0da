import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { aRecord, ended, namesIn, podWith, startWorker } from './workspace.ts';

/** Runs the real worker with this module as its transform, over an input with this text. */
async function run(module: string, input: string, more: object = {}) {
  const pod = await podWith([aRecord({ input: 'in/a.csv', output: 'a.csv', ...more })]);
  const transform = join(pod.directory, 'transform.mjs');
  await writeFile(transform, module);
  await writeFile(join(pod.storage, 'in/a.csv'), input);
  const { code } = await ended(startWorker([], { ...pod.env, BATCHQUEUE_TRANSFORM: transform }));
  const read = (name: string) => readFile(join(pod.storage, name), 'utf8').catch(() => undefined);
  return {
    code,
    result: await pod.result(),
    output: await read('a.csv'),
    rejected: await read('a.csv.rejected.csv'),
    names: await namesIn(pod.storage),
  };
}

const ORDERS = 'Order,City,Net\n1,Köln,10\n2,Bonn,20\n3,Ulm,oops\n';
const GROSS = `
  export const columns = ['Order', 'Gross'];
  export default (row) => {
    const net = Number(row.Net);
    if (Number.isNaN(net)) throw new Error('Net is no number');
    return { Order: row.Order, Gross: net * 2 };
  };`;

describe('An own transform', () => {
  test('makes rows of other columns; what it throws is a bad row', async () => {
    const done = await run(GROSS, ORDERS, { onInvalidRow: 'reject' });
    expect(done).toMatchObject({
      code: 0,
      output: 'Order,Gross\n1,20\n2,40\n',
      rejected: 'Line,Column,Reason,Row\n4,,"the transform threw ""Net is no number""","3,Ulm,oops"\n',
      result: { succeededIndexes: '0', summary: { rowsIn: 3, rowsOut: 2, rowsRejected: 1 } },
    });
  });

  test('stops the file at the first bad row unless bad rows are set aside', async () => {
    const { code, output, result, names } = await run(GROSS, ORDERS);
    expect({ code, output, names }).toEqual({ code: 65, output: undefined, names: ['in'] });
    expect(result).toMatchObject({
      rejectedIndexes: '0',
      reason: 'in/a.csv, line 4: the transform threw "Net is no number"',
    });
  });

  test('may return nothing or several rows, and has the columns of the input unless it names others', async () => {
    const module = `export default (row, { rowNumber }) =>
      row.City === 'Bonn' ? undefined : [row, { ...row, City: row.City.toUpperCase() + ', ' + rowNumber, Net: null }];`;
    const { code, output, result } = await run(module, ORDERS);
    expect(code).toBe(0);
    expect(output).toBe('Order,City,Net\n1,Köln,10\n1,"KÖLN, 1",\n3,Ulm,oops\n3,"ULM, 3",\n');
    expect(result).toMatchObject({ summary: { rowsIn: 3, rowsOut: 4 } });
  });

  test('draws the same numbers for the same message', async () => {
    const module = 'export default (row, { random }) => ({ ...row, Net: random() });';
    const [first, second] = [await run(module, ORDERS), await run(module, ORDERS)];
    expect(first.output).toBe(second.output);
    const numbers = (first.output ?? '')
      .split('\n')
      .slice(1, 4)
      .map((line) => Number(line.split(',')[2]));
    expect(numbers.every((number) => number >= 0 && number < 1)).toBe(true);
    expect(new Set(numbers).size).toBe(3);
  });

  test.each([
    ['({ Other: 1 })', 'the transform returned the column "Other", which the output does not have'],
    ['({ Net: 0 / 0 })', 'the transform returned no usable value for "Net"'],
    ['({ Net: {} })', 'the transform returned no usable value for "Net"'],
    ['5', 'the transform returned something else'],
    ['Promise.resolve({})', 'the transform returned something else'],
  ])('that returns %s has met a bad row', async (expression, reason) => {
    const { code, result } = await run(`export default () => ${expression};`, ORDERS);
    expect(code).toBe(65);
    expect(result).toMatchObject({ reason: expect.stringContaining(`in/a.csv, line 2: ${reason}`) });
  });

  test('sees text, so bytes that are no UTF-8 are a bad row', async () => {
    const pod = await podWith([aRecord({ input: 'in/a.csv', output: 'a.csv' })]);
    const transform = join(pod.directory, 'transform.mjs');
    await writeFile(transform, 'export default (row) => row;');
    await writeFile(join(pod.storage, 'in/a.csv'), Buffer.from('A,B\n1,\xe9\n', 'latin1'));
    expect((await ended(startWorker([], { ...pod.env, BATCHQUEUE_TRANSFORM: transform }))).code).toBe(65);
    expect(await pod.result()).toMatchObject({
      reason: expect.stringMatching(/line 2, column 2 \(B\): got ".*", which is not UTF-8/),
    });
  });

  test.each([
    ['export default 5;', 'its default export must be a function'],
    ['export const columns = ["A"];', 'its default export must be a function'],
    ['export const columns = ["A", "A"]; export default () => {};', 'array of different names'],
    ['export default (;', 'cannot be loaded'],
  ])('that is no transform (%s) is a wrong set-up', async (module, reason) => {
    const { code, result } = await run(module, ORDERS);
    expect(code).toBe(78);
    expect(result).toMatchObject({ reason: expect.stringContaining(reason) });
  });

  test('takes no column names from the message', async () => {
    const { code, result } = await run(GROSS, ORDERS, { columns: { id: 'Order' } });
    expect(code).toBe(65);
    expect(result).toMatchObject({ reason: expect.stringContaining('body field "columns"') });
  });
});
