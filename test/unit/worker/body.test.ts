import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { taskFromBody } from '../../../worker/body.ts';
import { WorkerError } from '../../../worker/contract/errors.ts';

describe('A message body', () => {
  test('names input and output, and its seed is the message id', () => {
    expect(taskFromBody('{"input":"in/a.csv","output":"out/a.csv"}', 'm-1')).toEqual({
      input: 'in/a.csv',
      output: 'out/a.csv',
      seed: 'm-1',
      rejected: undefined,
      columns: undefined,
    });
  });

  test('may bring its own seed', () => {
    expect(taskFromBody('{"input":"a","output":"b","seed":"s"}', 'm-1').seed).toBe('s');
  });

  test('may ask for bad rows beside the output, and name the columns of its input', () => {
    expect(taskFromBody('{"input":"a","output":"b/c.csv","onInvalidRow":"reject"}', 'm').rejected).toBe(
      'b/c.csv.rejected.csv',
    );
    expect(taskFromBody('{"input":"a","output":"b","onInvalidRow":"fail"}', 'm').rejected).toBeUndefined();
    const columns = (value: string) =>
      taskFromBody(`{"input":"a","output":"b","columns":${value}}`, 'm').columns;
    expect(columns('{"id":"Order","value":"Amount"}')).toEqual({ id: 'Order', value: 'Amount' });
    expect(columns('{"value":"Amount"}')).toEqual({ id: 'ID', value: 'Amount' });
  });

  test.each([
    [
      '[]',
      'body: got an array, allowed: {"input": path, "output": path, "seed": text, "onInvalidRow": "fail" or',
    ],
    ['null', 'body: got null, allowed:'],
    [
      '{"input":5,"output":"b"}',
      'body field "input": got a number, allowed: a path relative to the storage root',
    ],
    ['{"input":"a"}', 'body field "output": got nothing, allowed: a path relative to the storage root'],
    [
      '{"input":"a","output":"/b"}',
      'body field "output": got "/b", allowed: a path relative to the storage root, without',
    ],
    ['{"input":"../a","output":"b"}', 'body field "input": got "../a", allowed: plain names'],
    [
      '{"input":"a","output":"b","seed":""}',
      'body field "seed": got an empty text, allowed: a text of 1 to 256 characters',
    ],
    ['{"input":"a","output":"b","seed":1}', 'body field "seed": got a number'],
    ['{"input":"a","output":"b","command":"x"}', 'body: got the unknown field "command", allowed:'],
    ['{"input":"a","output":"b","__proto__":{}}', 'body: got the unknown field "__proto__", allowed:'],
    ['{"input":"a","output":"a"}', 'body field "output": got the input "a" again, allowed: another file'],
    [
      '{"input":"a","output":"b","onInvalidRow":"skip"}',
      'body field "onInvalidRow": got "skip", allowed: "fail" or "reject"',
    ],
    ['{"input":"a","output":"b","onInvalidRow":1}', 'body field "onInvalidRow": got a number, allowed:'],
    ['{"input":"a","output":"b","columns":[]}', 'body field "columns": got an array, allowed: {"id": name'],
    ['{"input":"a","output":"b","columns":{"id":""}}', 'body field "columns.id": got an empty text'],
    ['{"input":"a","output":"b","columns":{"x":1}}', 'body field "columns": got the unknown field "x"'],
    ['{"input":"a","output":"b","columns":{"id":"Value"}}', 'body field "columns": got the same name twice'],
    ['{"input":".batchqueue/m.json","output":"b"}', 'got ".batchqueue/m.json", allowed: a path outside'],
    [
      '{"input":"b.rejected.csv","output":"b","onInvalidRow":"reject"}',
      'body field "output": got "b", whose file of bad rows is the input',
    ],
    ['{"input":"a\\u0000","output":"b"}', 'body field "input": got "a\\u{0}", allowed: no backslash, NUL'],
  ])('%s is refused with the field, what was got and what is allowed', (body, message) => {
    expect(() => taskFromBody(body, 'm-1')).toThrow(
      expect.objectContaining({ verdict: 'reject', message: expect.stringContaining(message) }),
    );
  });

  test('is refused with all its problems at once', () => {
    expect(() => taskFromBody('{"input":1,"output":2,"more":3}', 'm')).toThrow(/"input".*"output".*"more"/);
  });

  test('is refused in a short sentence, however many unknown fields it has', () => {
    const fields = Object.fromEntries(Array.from({ length: 50_000 }, (_, index) => [`field${index}`, index]));
    expect(() => taskFromBody(JSON.stringify({ input: 'a', output: 'b', ...fields }), 'm')).toThrow(
      /^.{1,150}"field4" and 49995 more, allowed: .{1,200}$/,
    );
  });

  test.each([
    'canary-secret',
    '{"input":"a","output":"b","password":"canary-secret"}',
    '{"input":["canary-secret"],"output":"b"}',
  ])('never appears in the reason: %s', (body) => {
    expect(() => taskFromBody(body, 'm')).toThrow(
      expect.not.objectContaining({ message: expect.stringContaining('canary') }),
    );
  });

  test('of any text or JSON gives a task or a rejection, nothing else', () => {
    const body = fc.oneof(
      fc.string(),
      fc.json(),
      fc.record({ input: fc.anything(), output: fc.string() }).map((value) => JSON.stringify(value)),
    );
    fc.assert(
      fc.property(body, (text) => {
        try {
          expect(taskFromBody(text, 'm')).toMatchObject({ input: expect.any(String), seed: 'm' });
        } catch (error) {
          expect(error).toBeInstanceOf(WorkerError);
          expect(error).toMatchObject({ verdict: 'reject' });
        }
      }),
    );
  });
});
