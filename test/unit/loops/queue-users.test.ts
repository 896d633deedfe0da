import { beforeEach, expect, test } from '@jest/globals';
import { QueueUsers } from '../../../operator/loops/queue-users.ts';
import { QUEUE } from '../../support/builders.ts';

let told: string[];
let users: QueueUsers;

beforeEach(() => {
  told = [];
  users = new QueueUsers((key) => told.push(key));
});

/** The one that may poll, after this one has noted that it reads the queue. */
function note(key: string, createdAtMs: number, arn = QUEUE.arn): string {
  return users.note({ key, uid: `uid-${key}`, createdAtMs }, arn).key;
}

test('the oldest of a queue may poll, in whatever order they turn up', () => {
  expect(note('b', 2)).toBe('b');
  expect(note('c', 3)).toBe('b');
  expect(note('a', 1)).toBe('a');
  expect(note('b', 2)).toBe('a');
});

test('of equally old ones it is always the same one', () => {
  expect([note('b', 1), note('a', 1), note('b', 1)]).toEqual(['b', 'a', 'a']);
});

test('others of the queue are told when the first one changes, and only then', () => {
  note('b', 2);
  note('c', 3);
  note('c', 3);
  expect(told).toEqual([]);
  note('a', 1);
  expect(told).toEqual(['b', 'c']);
});

test('the next one may when the first one goes, or reads another queue', () => {
  note('a', 1);
  note('b', 2);
  users.forget('a');
  expect([told, note('b', 2)]).toEqual([['b'], 'b']);
  note('a', 1);
  told.length = 0;
  note('a', 1, `${QUEUE.arn}-2`);
  expect([told, note('b', 2)]).toEqual([['b'], 'b']);
});

test('a BatchQueue that reads nothing is forgotten without a word', () => {
  users.forget('a');
  note('a', 1);
  users.forget('a');
  users.forget('a');
  expect([told, note('b', 2)]).toEqual([[], 'b']);
});
