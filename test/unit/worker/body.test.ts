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
    });
  });

  test('may bring its own seed', () => {
    expect(taskFromBody('{"input":"a","output":"b","seed":"s"}', 'm-1').seed).toBe('s');
  });

  test.each([
    ['[]', 'body: got an array, allowed: {"input": path, "output": path, "seed": text (optional)}'],
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
    ['{"input":"a\\u0000","output":"b"}', 'body field "input": got "a\\u{0}", allowed: no backslash, NUL'],
  ])('%s is refused with the field, what was got and what is allowed', (body, message) => {
    expect(() => taskFromBody(body, 'm-1')).toThrow(
      expect.objectContaining({ verdict: 'reject', message: expect.stringContaining(message) }),
    );
  });

  test('is refused with all its problems at once', () => {
    expect(() => taskFromBody('{"input":1,"output":2,"more":3}', 'm')).toThrow(/"input".*"output".*"more"/);
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
          expect(Object.keys(taskFromBody(text, 'm')).sort()).toEqual(['input', 'output', 'seed']);
        } catch (error) {
          expect(error).toBeInstanceOf(WorkerError);
          expect(error).toMatchObject({ verdict: 'reject' });
        }
      }),
    );
  });
});
