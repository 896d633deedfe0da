import { describe, expect, test } from '@jest/globals';
import { blockedGroups } from '../../../operator/plan/blocked-groups.ts';
import type { Message } from '../../../operator/plan/message.ts';
import {
  aClaim,
  aMessage,
  anInboxMessage,
  aSnapshot,
  type ClaimParts,
  messageId,
  NOW_MS,
  QUEUE,
  reachable,
} from '../../support/builders.ts';

const FIFO = { ...QUEUE, url: `${QUEUE.url}.fifo`, arn: `${QUEUE.arn}.fifo` };

function inGroup(group: string, number: number, receiveCount = 1): Message {
  const attributes = { MessageGroupId: group, SequenceNumber: String(100 + number) };
  return aMessage({ id: messageId(number), queue: FIFO, receiveCount, attributes });
}

function failed(messages: readonly Message[], parts: ClaimParts = {}) {
  return aClaim({ messages, outcome: 'failed', settled: true, fates: { released: '0' }, ...parts });
}

function groupsOf(...claims: ReturnType<typeof failed>[]): string[] | undefined {
  const observation = reachable({ maxReceiveCount: 3 });
  return blockedGroups(aSnapshot({ claims, observation }))?.map(({ group }) => group);
}

describe('a message group is blocked', () => {
  test('while its first message waits to be tried again: which, how often, since when', () => {
    const claim = failed([inGroup('g', 1)], { attempt: 2, finishedAtMs: NOW_MS - 60_000 });
    expect(blockedGroups(aSnapshot({ claims: [claim] }))).toEqual([
      { group: 'g', messageId: messageId(1), attempt: 2, since: '2026-01-01T11:59:00Z' },
    ]);
  });

  test('by the message that was not done, not by those before it', () => {
    const claim = failed([inGroup('g', 1), inGroup('g', 2)], { fates: { deleted: '0', rejected: '1' } });
    expect(blockedGroups(aSnapshot({ claims: [claim] }))).toMatchObject([{ messageId: messageId(2) }]);
  });

  test('and those blocked longest are named first, ten at most', () => {
    const claims = Array.from({ length: 12 }, (_, index) =>
      failed([inGroup(`g${index}`, index)], { finishedAtMs: NOW_MS - index * 60_000 }),
    );
    expect(groupsOf(...claims)).toEqual(Array.from({ length: 10 }, (_, index) => `g${11 - index}`));
  });
});

describe('a message group is not blocked', () => {
  test.each<[string, ReturnType<typeof failed>[]]>([
    ['while its Job runs', [aClaim({ messages: [inGroup('g', 1)] })]],
    ['after a success', [aClaim({ messages: [inGroup('g', 1)], outcome: 'succeeded', settled: true })]],
    ['once the next receive dead-letters its first message', [failed([inGroup('g', 1, 3)])]],
    ['on a standard queue', [failed([aMessage()])]],
    [
      'once the next attempt runs',
      [failed([inGroup('g', 1)]), aClaim({ messages: [inGroup('g', 1, 2)], attempt: 2 })],
    ],
  ])('%s', (_, claims) => {
    expect(groupsOf(...claims)).toBeUndefined();
  });

  test('once its first message has come again', () => {
    const inbox = [anInboxMessage({ ...inGroup('g', 1, 2) })];
    const observation = reachable();
    const claims = [failed([inGroup('g', 1)])];
    expect(blockedGroups(aSnapshot({ claims, inbox, observation }))).toBeUndefined();
  });
});
