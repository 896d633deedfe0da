import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { attemptOf, claimFrom } from '../../../operator/plan/claim.ts';
import { planDispatch } from '../../../operator/plan/dispatch.ts';
import type { Claim } from '../../../operator/plan/job-facts.ts';
import type { DispatchContext } from '../../../operator/plan/judged-message.ts';
import type { InboxMessage } from '../../../operator/plan/message.ts';
import { MAX_BATCH_BYTES } from '../../../operator/plan/messages-file.ts';
import type { Action, ClaimAction } from '../../../operator/plan/plan.ts';
import {
  aClaim,
  aDispatchContext,
  aMessage,
  anInboxMessage,
  aQueue,
  messageId,
  NOW_MS,
  QUEUE,
} from '../../support/builders.ts';

const FIFO = { ...QUEUE, url: `${QUEUE.url}.fifo`, arn: `${QUEUE.arn}.fifo` };

function queueOf(batchSize: number, batchWindowSeconds = 0, queue = QUEUE) {
  return aQueue({ spec: { queue: { url: queue.url, batchSize, batchWindowSeconds } } });
}

function contextOf(parts: Partial<DispatchContext> = {}): DispatchContext {
  return aDispatchContext({ queue: queueOf(10), ...parts });
}

/** Messages with these numbers, in this order. */
function messages(...numbers: number[]): InboxMessage[] {
  return numbers.map((number) =>
    anInboxMessage({ id: messageId(number), sentAtMs: NOW_MS - 60_000 + number }),
  );
}

function changed(list: readonly InboxMessage[], parts: Partial<InboxMessage>): InboxMessage[] {
  return list.map((message) => Object.assign({}, message, parts));
}

/** A message of a FIFO queue. */
function ordered(number: number, group = 'g', parts: Partial<InboxMessage> = {}): InboxMessage {
  const attributes = { MessageGroupId: group, SequenceNumber: String(1_000 + number) };
  return anInboxMessage({ queue: FIFO, id: messageId(number), attributes, ...parts });
}

/** The numbers of the messages in each new Job. */
function jobs(actions: readonly Action[]): number[][] {
  return claims(actions).map((action) => action.messages.map(({ id }) => Number(id.slice(-12))));
}

function claims(actions: readonly Action[]): ClaimAction[] {
  return actions.flatMap((action) => (action.kind === 'claim' ? [action] : []));
}

function kinds(actions: readonly Action[]): string[] {
  return actions.map(({ kind }) => kind);
}

describe('a batch', () => {
  test('takes what there is, up to its size', () => {
    const inbox = messages(1, 2, 3, 4, 5, 6, 7);
    expect(jobs(planDispatch(inbox, contextOf({ queue: queueOf(3) })).actions)).toEqual([
      [1, 2, 3],
      [4, 5, 6],
      [7],
    ]);
  });

  test('holds messages of one attempt', () => {
    const again = changed(messages(2), { receiveCount: 2 });
    expect(jobs(planDispatch([...messages(1, 3), ...again], contextOf()).actions)).toEqual([[1, 3], [2]]);
  });

  test('is cut where the messages file would grow too large for a Secret', () => {
    const body = 'a'.repeat(MAX_BATCH_BYTES / 2);
    const inbox = changed(messages(1, 2, 3), { body });
    expect(jobs(planDispatch(inbox, contextOf()).actions)).toEqual([[1], [2], [3]]);
  });

  test('is never more Jobs than there are slots; the rest waits', () => {
    const context = contextOf({ queue: queueOf(2), slots: 2 });
    expect(jobs(planDispatch(messages(1, 2, 3, 4, 5), context).actions)).toEqual([
      [1, 2],
      [3, 4],
    ]);
    expect(
      jobs(planDispatch(messages(1, 2, 3, 4, 5), contextOf({ queue: queueOf(2), slots: -1 })).actions),
    ).toEqual([]);
    expect(planDispatch(messages(1), contextOf({ slots: 0 }))).toEqual({
      actions: [],
      lookAgainAtMs: undefined,
    });
  });

  test('leaves out a message whose lease ends before the Job is there', () => {
    const [one, two] = messages(1, 2);
    const inbox = [{ ...anInboxMessage(), ...one, trustedUntilMs: NOW_MS + 100 }, two ?? anInboxMessage()];
    expect(jobs(planDispatch(inbox, contextOf()).actions)).toEqual([[2]]);
  });
});

describe('a batch that is not full', () => {
  const waited = (ms: number) => changed(messages(1, 2), { arrivedAtMs: NOW_MS - ms });

  test.each([
    ['waits for its window', 30, 'possible', 10_000, [], NOW_MS + 20_000],
    ['closes with its window', 30, 'possible', 30_000, [[1, 2]], undefined],
    ['does not wait when no poll is under way', 30, 'none', 10, [[1, 2]], undefined],
    ['without a window closes at once', 0, 'possible', 10, [[1, 2]], undefined],
    ['without a window waits a moment for a receive after a full one', 0, 'likely', 50, [], NOW_MS + 150],
    ['without a window waits no longer than that', 0, 'likely', 200, [[1, 2]], undefined],
  ] as const)('%s', (...row) => {
    const [, window, arrivals, ms, expected, lookAgainAtMs] = row;
    const plan = planDispatch(waited(ms), contextOf({ queue: queueOf(10, window), arrivals }));
    expect(jobs(plan.actions)).toEqual(expected);
    expect(plan.lookAgainAtMs).toBe(lookAgainAtMs);
  });

  test('closes without its window when the next message does not fit any more', () => {
    const body = 'a'.repeat(MAX_BATCH_BYTES / 2);
    const inbox = changed(messages(1, 2), { body, arrivedAtMs: NOW_MS });
    const context = contextOf({ queue: queueOf(10, 30), arrivals: 'possible' });
    expect(jobs(planDispatch(inbox, context).actions)).toEqual([[1]]);
  });
});

describe('a message that was received before', () => {
  const [again] = changed(messages(1), { receiveCount: 2, arrivedAtMs: NOW_MS - 10 });
  const inbox = again ? [again] : [];

  test('waits for a list of Jobs begun after its receive: a batch may hold it under another name', () => {
    const before = planDispatch(inbox, contextOf({ jobsListedAtMs: NOW_MS - 10 }));
    expect(kinds(before.actions)).toEqual(['listJobs']);
    expect(jobs(planDispatch(inbox, contextOf({ jobsListedAtMs: NOW_MS - 9 })).actions)).toEqual([[1]]);
  });

  test('joins no Job once a list has shown the one that holds it', () => {
    const holder = aClaim({ messages: [aMessage({ id: messageId(7) }), aMessage({ id: messageId(1) })] });
    const { actions } = planDispatch(inbox, contextOf({ claims: [holder] }));
    expect(actions).toMatchObject([{ kind: 'adopt', claim: holder, messages: inbox }]);
  });
});

test('messages that come back to one Job together are adopted in one write', () => {
  const held = [1, 2, 3].map((number) => aMessage({ id: messageId(number) }));
  const holder = aClaim({ messages: held });
  const again = [1, 3].flatMap((number) =>
    changed(messages(number), { receiveCount: 2, receiptHandle: `new ${messageId(number)}` }),
  );
  const { actions } = planDispatch(again, contextOf({ claims: [holder] }));
  expect(actions).toHaveLength(1);
  expect(actions).toMatchObject([
    {
      kind: 'adopt',
      messages: again,
      ledger: {
        messages: [
          { receiptHandle: `new ${messageId(1)}` },
          { receiptHandle: held[1]?.receiptHandle },
          { receiptHandle: `new ${messageId(3)}` },
        ],
      },
    },
  ]);
});

describe('the messages of a settled batch', () => {
  const parts = { messages: [1, 2, 3].map((number) => aMessage({ id: messageId(number) })), attempt: 2 };
  const claim = aClaim({
    ...parts,
    outcome: 'failed',
    settled: true,
    fates: { deleted: '0', released: '1', rejected: '2' },
  });

  test('go each their own way when they come back', () => {
    const inbox = changed(messages(1, 2, 3), { receiveCount: 3 });
    const { actions } = planDispatch(inbox, contextOf({ claims: [claim] }));
    expect(actions).toMatchObject([
      { kind: 'discard', message: { id: messageId(1) } },
      { kind: 'release', messages: [{ id: messageId(3) }], reason: 'RejectedBefore', delaySeconds: 3600 },
      { kind: 'claim', messages: [{ id: messageId(2) }] },
    ]);
    expect(claims(actions).map(({ job }) => attemptOf(claimFrom(job)))).toEqual([3]);
  });

  test('an index released while others run may run again beside them', () => {
    const running = aClaim({ ...parts, fates: { released: '1' } });
    const inbox = changed(messages(2), { receiveCount: 2 });
    expect(jobs(planDispatch(inbox, contextOf({ claims: [running] })).actions)).toEqual([[2]]);
  });
});

describe('a message group', () => {
  const context = (parts: Partial<DispatchContext> = {}) =>
    contextOf({ queue: queueOf(10, 0, FIFO), jobsListedAtMs: NOW_MS, ...parts });

  test('runs in order, each group as a Job of its own, whatever the order of arrival', () => {
    const inbox = [ordered(3), ordered(9, 'other'), ordered(1), ordered(2)];
    expect(jobs(planDispatch(inbox, context()).actions)).toEqual([[1, 2, 3], [9]]);
  });

  test('orders by number, not by text', () => {
    const attributes = (number: string) => ({ MessageGroupId: 'g', SequenceNumber: number });
    const inbox = [
      ordered(1, 'g', { attributes: attributes('10') }),
      ordered(2, 'g', { attributes: attributes('9') }),
    ];
    expect(jobs(planDispatch(inbox, context()).actions)).toEqual([[2, 1]]);
  });

  test('has one Job at a time; what comes after waits', () => {
    const messagesOfGroup = [{ ...aMessage(), queue: FIFO, attributes: ordered(1).attributes }];
    const active = aClaim({ messages: messagesOfGroup });
    expect(planDispatch([ordered(2)], context({ claims: [active] })).actions).toEqual([]);
    expect(jobs(planDispatch([ordered(2, 'other')], context({ claims: [active] })).actions)).toEqual([[2]]);
  });

  test('waits for a list of Jobs that began after it came: those before it may be dead letters whose Job still runs', () => {
    const behind = context({ jobsListedAtMs: ordered(1).arrivedAtMs });
    expect(kinds(planDispatch([ordered(1)], behind).actions)).toEqual(['listJobs']);
    const after = context({ jobsListedAtMs: ordered(1).arrivedAtMs + 1 });
    expect(jobs(planDispatch([ordered(1)], after).actions)).toEqual([[1]]);
  });

  test('does not wait behind a message that is done and only waits to be deleted', () => {
    const done = aClaim({
      messages: [{ ...aMessage(), queue: FIFO, attributes: ordered(1).attributes }],
      outcome: 'succeeded',
    });
    const [held] = done.held;
    const owed = held ? { ...done, held: [{ ...held, refusedAtMs: NOW_MS }] } : done;
    expect(jobs(planDispatch([ordered(2)], context({ claims: [owed] })).actions)).toEqual([[2]]);
  });

  test.each(['active', 'succeeded'] as const)(
    'whose BatchQueue is gone keeps what its %s Job holds',
    (outcome) => {
      const messagesOfGroup = [
        { ...aMessage({ id: messageId(1) }), queue: FIFO, attributes: ordered(1).attributes },
      ];
      const holder = aClaim({ messages: messagesOfGroup, outcome });
      const gone = context({ queue: undefined, isGone: true, claims: [holder] });
      const { actions } = planDispatch([ordered(1), ordered(2), ordered(3)], gone);

      expect(actions).toContainEqual(
        expect.objectContaining({ kind: 'release', messages: [ordered(3), ordered(2)] }),
      );
    },
  );

  describe('a message that came behind another one', () => {
    const first = { ...aMessage({ id: messageId(1) }), queue: FIFO, attributes: ordered(1).attributes };
    const follower = ordered(2, 'g', { behind: messageId(1) });
    const actionsWith = (...jobsOfGroup: Claim[]) =>
      planDispatch([follower], context({ claims: jobsOfGroup })).actions;

    test('runs once that is done', () => {
      const done = aClaim({
        messages: [first],
        outcome: 'succeeded',
        settled: true,
        fates: { deleted: '0' },
      });
      expect(jobs(actionsWith(done))).toEqual([[2]]);
    });

    test('waits while a Job holds it', () => {
      expect(actionsWith(aClaim({ messages: [first] }))).toEqual([]);
    });

    test('goes back when that went back, and when nobody knows what became of it', () => {
      const failed = aClaim({
        messages: [first],
        outcome: 'failed',
        settled: true,
        fates: { released: '0' },
      });
      const back = [{ kind: 'release', messages: [follower], delaySeconds: 0, reason: 'OutOfOrder' }];
      expect(actionsWith(failed)).toEqual(back);
      expect(actionsWith()).toEqual(back);
    });
  });

  test('runs only up to the first message that may not run', () => {
    const inbox = [ordered(1, 'g', { trustedUntilMs: NOW_MS }), ordered(2)];
    expect(planDispatch(inbox, context()).actions).toEqual([]);
  });

  test('takes one attempt at a time, and of a batch size of one the first alone', () => {
    const inbox = [ordered(1, 'g', { receiveCount: 2 }), ordered(2), ordered(3)];
    expect(jobs(planDispatch(inbox, context()).actions)).toEqual([[1]]);
    const single = planDispatch([ordered(1), ordered(2)], context({ queue: queueOf(1, 0, FIFO) }));
    expect(jobs(single.actions)).toEqual([[1]]);
  });

  test('of a BatchQueue that is gone goes back in one action, last to first', () => {
    const inbox = [ordered(1), ordered(2), ordered(9, 'other'), ordered(3)];
    const { actions } = planDispatch(inbox, context({ queue: undefined, isGone: true }));
    expect(actions).toMatchObject([
      { kind: 'release', messages: [ordered(3), ordered(2), ordered(1)] },
      { kind: 'release', messages: [ordered(9, 'other')] },
    ]);
  });

  test('goes back as a whole behind a message that goes back, last to first', () => {
    const rejected = aClaim({
      messages: [{ ...aMessage({ id: messageId(1) }), queue: FIFO, attributes: ordered(1).attributes }],
      outcome: 'failed',
      settled: true,
      fates: { rejected: '0' },
    });
    const inbox = [ordered(1, 'g', { receiveCount: 2 }), ordered(2), ordered(3), ordered(4, 'other')];
    const { actions } = planDispatch(inbox, context({ claims: [rejected] }));
    expect(actions).toMatchObject([
      { kind: 'release', messages: [3, 2, 1].map((number) => ({ id: messageId(number) })) },
      { kind: 'claim', messages: [{ id: messageId(4) }] },
    ]);
    expect(actions).toHaveLength(2);
  });
});

test('whatever is received, no message is in two Jobs, no Job is larger than allowed, and groups keep their order', () => {
  const message = fc.record({
    number: fc.integer({ min: 1, max: 30 }),
    group: fc.constantFrom('a', 'b', 'c'),
    receiveCount: fc.integer({ min: 1, max: 3 }),
    size: fc.constantFrom(1, 1, 400_000),
  });
  fc.assert(
    fc.property(
      fc.uniqueArray(message, { maxLength: 20, selector: ({ number }) => number }),
      fc.integer({ min: 1, max: 10 }),
      fc.integer({ min: 0, max: 5 }),
      fc.boolean(),
      (received, batchSize, slots, fifo) => {
        const inbox = received.map(({ number, group, receiveCount, size }) =>
          ordered(number, group, { receiveCount, body: 'x'.repeat(size), ...(!fifo && { queue: QUEUE }) }),
        );
        const { actions } = planDispatch(
          inbox,
          contextOf({ queue: queueOf(batchSize, 0, fifo ? FIFO : QUEUE), slots }),
        );
        const made = claims(actions);
        const ids = made.flatMap((action) => action.messages.map(({ id }) => id));
        expect(new Set(ids).size).toBe(ids.length);
        expect(made.length).toBeLessThanOrEqual(slots);
        for (const action of made) {
          expect(action.messages.length).toBeLessThanOrEqual(batchSize);
          const numbers = action.messages.map(({ id }) => Number(id.slice(-12)));
          if (fifo) expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
        }
        const groups = made.map((action) => action.messages[0]?.attributes['MessageGroupId']);
        if (fifo) expect(new Set(groups).size).toBe(groups.length);
      },
    ),
  );
});
