import { describe, expect, test } from '@jest/globals';
import { ANNOTATION_LEDGER } from '../../../operator/api/names.ts';
import { newestClaims } from '../../../operator/plan/claim.ts';
import { planDispatch } from '../../../operator/plan/dispatch.ts';
import { jobName } from '../../../operator/plan/job-name.ts';
import type { DispatchContext } from '../../../operator/plan/judged-message.ts';
import { CREATE_TIMEOUT_MS } from '../../../operator/plan/lease.ts';
import { messageKey, parseLedger } from '../../../operator/plan/ledger.ts';
import type { InboxMessage } from '../../../operator/plan/message.ts';
import { MAX_SECRET_BYTES } from '../../../operator/plan/messages-file.ts';
import type { Action } from '../../../operator/plan/plan.ts';
import {
  aClaim,
  aDispatchContext,
  anInboxMessage,
  aQueue,
  type ClaimParts,
  MESSAGE_ID,
  messageId,
  NOW_MS,
  QUEUE,
} from '../../support/builders.ts';

function plan(message: InboxMessage, context: Partial<DispatchContext> = {}): readonly Action[] {
  return planDispatch([message], { ...DEFAULTS, ...context }).actions;
}

const DEFAULTS = aDispatchContext();

/** What a claim action creates: the name is the lock. */
function lockOf(lock: number): object {
  const identity = { batchQueueName: 'orders', queueArn: QUEUE.arn, messageId: MESSAGE_ID, lock, run: 1 };
  return { kind: 'claim', job: { metadata: { name: jobName(identity) } } };
}

describe('the table of planDispatch', () => {
  test.each([
    ['without a Job the attempt is the receive count', 1, 1],
    ['a later receive without a Job left is a later attempt', 3, 3],
    ['a receive count of nothing is the first attempt', 0, 1],
  ])('%s, and the name is that of the first', (_, receiveCount, attempt) => {
    const actions = plan(anInboxMessage({ receiveCount }));
    expect(actions).toMatchObject([lockOf(1)]);
    expect(actions.map((action) => action.kind === 'claim' && parseLedger(action.job)?.attempt)).toEqual([
      attempt,
    ]);
  });

  test.each<[string, Partial<DispatchContext>, Partial<InboxMessage>]>([
    ['comes once more', {}, { receiveCount: 2 }],
    ['has lost its lease', {}, { trustedUntilMs: 0 }],
    ['has lost its BatchQueue', { queue: undefined, isGone: true }, {}],
  ])('a message whose Job is being created waits, also when it %s', (_, context, parts) => {
    const [action] = plan(anInboxMessage());
    const underWay = [action].filter((one) => one?.kind === 'claim');

    expect(underWay).toHaveLength(1);
    expect(plan(anInboxMessage(parts), { ...context, underWay })).toEqual([]);
  });

  test('a message whose create was never answered is not given back before its Job can come no more', () => {
    const message = anInboxMessage();
    const unconfirmed = plan(message)
      .filter((action) => action.kind === 'claim')
      .map((action) => ({ action, sentAtMs: NOW_MS - 1_000 }));
    const gone = { ...DEFAULTS, queue: undefined, isGone: true, unconfirmed };

    expect(unconfirmed).toHaveLength(1);
    const dueAtMs = NOW_MS - 1_000 + CREATE_TIMEOUT_MS + 1;
    expect(planDispatch([message], gone)).toEqual({ actions: [], lookAgainAtMs: dueAtMs });
    expect(planDispatch([message], { ...gone, nowMs: dueAtMs }).actions).toEqual([{ kind: 'listJobs' }]);
    expect(planDispatch([message], { ...gone, unconfirmed: [] }).actions).toMatchObject([
      { kind: 'release' },
    ]);
  });

  test('an active Job adopts the message: the newest receipt handle goes onto it', () => {
    const claim = aClaim({ message: { receiveCount: 1 } });
    const message = anInboxMessage({ receiveCount: 2, receiptHandle: 'newest', receivedAtMs: NOW_MS - 100 });
    expect(plan(message, { claims: [claim] })).toEqual([
      {
        kind: 'adopt',
        messages: [message],
        claim,
        ledger: {
          ...claim.ledger,
          messages: [
            {
              id: MESSAGE_ID,
              receiptHandle: 'newest',
              receiveCount: 2,
              sentAtMs: message.sentAtMs,
              receivedAtMs: NOW_MS - 100,
            },
          ],
        },
      },
    ]);
  });

  test.each([
    ['the same receive that the active Job holds already', 2],
    ['an older receive than the active Job holds', 1],
  ])('%s is forgotten', (_, receiveCount) => {
    const claims = [aClaim({ message: { receiveCount: 2 } })];
    expect(plan(anInboxMessage({ receiveCount }), { claims })).toMatchObject([{ kind: 'forget' }]);
  });

  test.each<[string, ClaimParts]>([
    ['succeeded', { outcome: 'succeeded' }],
    ['failed', { outcome: 'failed' }],
  ])('a Job that %s and owes its settlement leaves the message to the settlement', (_, parts) => {
    expect(plan(anInboxMessage({ receiveCount: 2 }), { claims: [aClaim(parts)] })).toEqual([]);
    // Also when a settlement that SQS did not take has withdrawn its lease.
    const withdrawn = anInboxMessage({ receiveCount: 2, trustedUntilMs: 0 });
    expect(plan(withdrawn, { claims: [aClaim(parts)] })).toEqual([]);
  });

  test('a message whose Job succeeded and is settled is discarded', () => {
    const claims = [aClaim({ outcome: 'succeeded', settled: true })];
    expect(plan(anInboxMessage({ receiveCount: 2 }), { claims })).toMatchObject([{ kind: 'discard' }]);
  });

  test('so is one that was done in a Job that failed, and whose delete is owed no more', () => {
    const { ledger } = aClaim();
    const messages = ledger?.messages.map((message) => ({ ...message, refusedAtMs: NOW_MS }));
    const annotations = { [ANNOTATION_LEDGER]: JSON.stringify({ ...ledger, messages }) };
    const claims = [aClaim({ outcome: 'failed', settled: true, annotations })];
    expect(plan(anInboxMessage({ receiveCount: 2 }), { claims })).toMatchObject([{ kind: 'discard' }]);
  });

  test.each<[string, ClaimParts, number]>([
    ['failed', { outcome: 'failed', settled: true, attempt: 1 }, 2],
    ['failed at a later attempt', { outcome: 'failed', settled: true, attempt: 4 }, 5],
    ['was deleted while it ran', { settled: true, deleting: true, attempt: 2 }, 3],
  ])('after a settled Job that %s comes the next attempt, whatever SQS has counted', (_, parts, attempt) => {
    expect(plan(anInboxMessage({ receiveCount: 9 }), { claims: [aClaim(parts)] })).toMatchObject([
      lockOf(attempt),
    ]);
  });

  test('a Job whose finalizer somebody took while it runs is adopted all the same', () => {
    const claims = [aClaim({ settled: true })];
    expect(plan(anInboxMessage({ receiveCount: 2 }), { claims })).toMatchObject([{ kind: 'adopt' }]);
  });
});

describe('a lease', () => {
  test('that is lost makes the message be forgotten, whatever its Job does', () => {
    const message = anInboxMessage({ trustedUntilMs: 0, receiveCount: 2 });
    const claims = [aClaim()];
    expect(plan(message)).toEqual([{ kind: 'forget', message }]);
    expect(plan(message, { claims })).toEqual([{ kind: 'forget', message }]);
    expect(plan(message, { queue: undefined, isGone: true, claims: [] })).toEqual([
      { kind: 'forget', message },
    ]);
  });

  test.each([
    ['that has run out waits for the heartbeat', -60_000, 0],
    ['that ends with the create waits for the heartbeat', CREATE_TIMEOUT_MS, 0],
    ['that outlives the create is enough', CREATE_TIMEOUT_MS + 1, 1],
  ])('%s', (_, leftMs, actions) => {
    expect(plan(anInboxMessage({ trustedUntilMs: NOW_MS + leftMs }))).toHaveLength(actions);
  });

  test('about to end does not keep a running Job from adopting', () => {
    const message = anInboxMessage({ trustedUntilMs: NOW_MS, receiveCount: 2 });
    expect(plan(message, { claims: [aClaim()] })).toMatchObject([{ kind: 'adopt' }]);
  });
});

describe('without what a Job is made of', () => {
  test('a message of a BatchQueue that is gone is given back at once', () => {
    const message = anInboxMessage();
    expect(plan(message, { queue: undefined, isGone: true, revision: undefined })).toEqual([
      { kind: 'release', messages: [message], delaySeconds: 0, reason: 'BatchQueueGone' },
    ]);
  });

  test.each<[string, Partial<InboxMessage>, string]>([
    ['this very receive', { receiveCount: 2, receivedAtMs: NOW_MS - 1_000 }, 'forget'],
    ['a later one', { receiveCount: 1, receivedAtMs: NOW_MS - 2_000 }, 'forget'],
    ['an earlier one', { receiveCount: 3, receivedAtMs: NOW_MS }, 'claim'],
    ['one before it was dead-lettered and put back', { receiveCount: 1, receivedAtMs: NOW_MS }, 'claim'],
  ])('a message of which %s was given back: what is here then', (_, parts, kind) => {
    const message = { receiveCount: 2, receivedAtMs: NOW_MS - 1_000 };
    const given = aClaim({ message, outcome: 'failed', settled: true, fates: { released: '0' } });
    expect(plan(anInboxMessage(parts), { claims: [given] })).toMatchObject([{ kind }]);
  });

  test('a message of a BatchQueue that cannot be read waits: somebody is about to correct it', () => {
    expect(plan(anInboxMessage(), { queue: undefined, revision: undefined })).toEqual([]);
  });

  test('a message waits while no revision may be run', () => {
    expect(plan(anInboxMessage(), { revision: undefined })).toEqual([]);
  });
});

describe('a message that does not fit', () => {
  const body = 'a'.repeat(MAX_SECRET_BYTES + 1);

  test('is given back with the longest delay', () => {
    const message = anInboxMessage({ body });
    expect(plan(message)).toEqual([
      { kind: 'release', messages: [message], delaySeconds: 3600, reason: 'PayloadTooLarge' },
    ]);
  });

  test('is given back with a delay that ends within twelve hours from its receive', () => {
    const queue = aQueue({ spec: { retry: { maxBackoffSeconds: 43_200 } } });
    const message = anInboxMessage({ body, receivedAtMs: NOW_MS - 3_600_000 });
    expect(plan(message, { queue })).toMatchObject([{ kind: 'release', delaySeconds: 39_590 }]);
  });

  test('is measured in bytes', () => {
    const half = 'ü'.repeat(MAX_SECRET_BYTES / 2);
    expect(plan(anInboxMessage({ body: half }))).toMatchObject([{ kind: 'claim' }]);
    expect(plan(anInboxMessage({ body: `${half}a` }))).toMatchObject([{ kind: 'release' }]);
  });
});

describe('newestClaims', () => {
  test('finds the highest attempt for each message, in whatever order Jobs are listed', () => {
    const first = aClaim({ attempt: 1, outcome: 'failed', settled: true });
    const second = aClaim({ attempt: 2 });
    const other = aClaim({ message: { id: messageId(2) } });
    for (const claims of [
      [first, second, other],
      [other, second, first],
    ]) {
      expect(newestClaims(claims)).toEqual(
        new Map([
          [messageKey(QUEUE, MESSAGE_ID), second],
          [messageKey(QUEUE, messageId(2)), other],
        ]),
      );
    }
  });

  test('knows nothing of a Job with an unreadable ledger', () => {
    expect(newestClaims([aClaim({ annotations: { [ANNOTATION_LEDGER]: '?' } })])).toEqual(new Map());
  });
});

test('a message of another queue is not taken for the one that a Job holds, although a redrive kept its id', () => {
  const message = anInboxMessage({ queue: { ...QUEUE, arn: `${QUEUE.arn}-dead` }, receiveCount: 2 });
  expect(plan(message, { claims: [aClaim()] })).toMatchObject([{ kind: 'claim' }]);
});

test('every message is judged by itself', () => {
  const kept = anInboxMessage({ id: messageId(1) });
  const lost = anInboxMessage({ id: messageId(2), trustedUntilMs: 0 });
  expect(planDispatch([lost, kept], DEFAULTS).actions.map(({ kind }) => kind)).toEqual(['forget', 'claim']);
});
