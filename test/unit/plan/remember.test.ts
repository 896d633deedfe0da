import { expect, test } from '@jest/globals';
import { remember } from '../../../operator/plan/remember.ts';

test('remember does the work once per object, also when it comes to nothing', () => {
  const asked: object[] = [];
  const sizeOf = remember((object: { readonly size?: number }) => {
    asked.push(object);
    return object.size;
  });
  const three = { size: 3 };
  const none = {};
  expect([three, none, three, none, { size: 3 }].map(sizeOf)).toEqual([3, undefined, 3, undefined, 3]);
  expect(asked).toHaveLength(3);
});

test('what throws is tried again', () => {
  let calls = 0;
  const fail = remember((): never => {
    calls += 1;
    throw new Error('no');
  });
  const object = {};
  expect(() => fail(object)).toThrow('no');
  expect(() => fail(object)).toThrow('no');
  expect(calls).toBe(2);
});
