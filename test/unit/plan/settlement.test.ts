import { describe, expect, test } from '@jest/globals';
import { ANNOTATION_LEDGER } from '../../../operator/api/names.ts';
import type { Claim, PodsOfJob, WorkerReport } from '../../../operator/plan/job-facts.ts';
import type { InboxMessage, Message } from '../../../operator/plan/message.ts';
import type { Action } from '../../../operator/plan/plan.ts';
import { planSettlement, type SettlementContext } from '../../../operator/plan/settlement.ts';
import {
  aClaim,
  aMessage,
  anInboxMessage,
  aQueue,
  type ClaimParts,
  DEAD_LETTER_ARN,
  MESSAGE_ID,
  messageId,
  NOW_MS,
  QUEUE,
} from '../../support/builders.ts';

const NO_PODS: PodsOfJob = {
  running: 0,
  terminating: 0,
  neverStarted: false,
  result: undefined,
  resultOfIndex: new Map(),
};

function plan(claim: Claim, context: Partial<SettlementContext> = {}) {
  return planSettlement({
    claims: [claim],
    nowMs: NOW_MS,
    queue: aQueue(),
    pods: new Map(),
    inbox: [],
    queueArn: undefined,
    deadLetterArn: DEAD_LETTER_ARN,
    maxReceiveCount: 5,
    retentionSeconds: 345_600,
    polls: { answeredSinceMs: NOW_MS, emptyAtMs: 0 },
    ...context,
  });
}

/** What a plan tells the queue about each message: the verdict, by index. */
function told(actions: readonly Action[]): string[] {
  return actions.flatMap((action) =>
    action.kind === 'settle'
      ? action.verdicts.map(({ message, does }) => `${message.index} ${does}`)
      : [action.kind],
  );
}

function firstDelay(actions: readonly Action[]): number | undefined {
  const [action] = actions;
  return action?.kind === 'settle' ? action.verdicts[0]?.delaySeconds : undefined;
}

/** A list of pods of this Job. */
function pods(claim: Claim, parts: Partial<PodsOfJob> = {}) {
  return new Map([[claim.job.metadata.name, { ...NO_PODS, ...parts }]]);
}

describe('a message is deleted', () => {
  test.each<[string, ClaimParts]>([
    ['after its Job succeeded', { outcome: 'succeeded' }],
    ['after its Job succeeded although somebody deletes the Job', { outcome: 'succeeded', deleting: true }],
  ])('%s', (_, parts) => {
    const claim = aClaim(parts);
    expect(plan(claim, { pods: pods(claim) })).toEqual([
      {
        kind: 'settle',
        claim,
        queue: QUEUE,
        verdicts: [{ message: claim.held[0], does: 'delete', delaySeconds: 0 }],
        final: true,
        note: undefined,
        deadLetterArn: DEAD_LETTER_ARN,
        result: undefined,
      },
    ]);
  });

  const outcomes = ['active', 'failed'] as const;
  const flags = [false, true];
  const others = outcomes.flatMap((outcome) =>
    flags.flatMap((deleting) => flags.map((settled): ClaimParts => ({ outcome, deleting, settled }))),
  );
  test.each(others)('never for %j', (parts) => {
    const claim = aClaim(parts);
    const verdicts = [new Map(), pods(claim), pods(claim, { running: 1 })].flatMap((listed) =>
      told(plan(claim, { pods: listed })),
    );
    expect(verdicts).not.toContain('0 delete');
  });
});

test('a Job that succeeded waits until its pods have been seen: its worker may contradict itself', () => {
  const claim = aClaim({ outcome: 'succeeded' });
  expect(plan(claim)).toEqual([]);
  const result = { exitCode: 0, reason: 'Completed', message: '', succeededIndexes: '' };
  const actions = plan(claim, { pods: pods(claim, { result }) });
  expect(told(actions)).toEqual(['0 release']);
  expect(actions).toMatchObject([{ result: { reason: 'ResultConflict' } }]);
});

describe('a message is released', () => {
  test.each([
    ['after the first attempt with the shortest delay', 1, 10, 10],
    ['after the third attempt with a longer one', 3, 20, 40],
  ])('%s', (_, attempt, least, most) => {
    const claim = aClaim({ outcome: 'failed', attempt });
    const actions = plan(claim, { pods: pods(claim) });
    expect(told(actions)).toEqual(['0 release']);
    const delay = firstDelay(actions);
    expect(delay).toBeGreaterThanOrEqual(least);
    expect(delay).toBeLessThanOrEqual(most);
  });

  test('at once when its BatchQueue is gone', () => {
    const claim = aClaim({ outcome: 'failed', attempt: 5 });
    expect(firstDelay(plan(claim, { queue: undefined, pods: pods(claim) }))).toBe(0);
  });

  test('within twelve hours from its receive', () => {
    const message = { receivedAtMs: NOW_MS - 43_000_000 };
    const claim = aClaim({ outcome: 'failed', attempt: 20, message });
    expect(firstDelay(plan(claim, { pods: pods(claim) }))).toBe(190);
  });

  test('only when the pods of its Job have been listed: they know what its worker reported', () => {
    expect(plan(aClaim({ outcome: 'failed' }))).toEqual([]);
  });

  test('with what its worker reported', () => {
    const claim = aClaim({ outcome: 'failed' });
    const result = { exitCode: 75, reason: 'TemporaryFailure', message: 'disk full' };
    const actions = plan(claim, { pods: pods(claim, { result }) });
    expect(actions).toMatchObject([{ result }]);
    expect(told(actions)).toEqual(['0 release']);
  });

  test('with the deadline as the reason, although the pod only says how it was ended', () => {
    const failure = { reason: 'DeadlineExceeded', message: 'Job was active longer than specified deadline' };
    const claim = aClaim({ outcome: 'failed', failure });
    const ended = {
      ...NO_PODS,
      result: { exitCode: 75, reason: 'TemporaryFailure', message: 'SIGTERM' },
    };
    expect(plan(claim, { pods: new Map([[claim.job.metadata.name, ended]]) })).toMatchObject([
      { result: { ...failure, exitCode: 75 } },
    ]);
  });

  test('with what the Job says when its pod is gone', () => {
    const message =
      'Container worker for pod shop/x failed with exit code 75 matching FailJob rule at index 2';
    const claim = aClaim({ outcome: 'failed', failure: { reason: 'PodFailurePolicy', message } });
    expect(plan(claim, { pods: pods(claim) })).toMatchObject([
      { result: { exitCode: 75, reason: 'TemporaryFailure', message } },
    ]);
  });
});

describe('a Job that somebody deletes while it runs', () => {
  const claim = aClaim({ deleting: true });

  test('owes nothing yet while its pods have not been listed: an unread list is not zero pods', () => {
    expect(plan(claim)).toEqual([]);
  });

  test('has its pods ended first', () => {
    expect(plan(claim, { pods: pods(claim, { running: 1, terminating: 1 }) })).toEqual([
      { kind: 'stopPods', claim },
    ]);
  });

  test('keeps its messages until the last pod has ended', () => {
    expect(plan(claim, { pods: pods(claim, { terminating: 1 }) })).toEqual([]);
  });

  test.each<[string, Partial<WorkerReport>, string]>([
    ['does nothing again for what its pod has done', { exitCode: 0 }, '0 delete'],
    ['gives back what its pod calls undone', { exitCode: 0, rejectedIndexes: '0' }, '0 release'],
  ])('%s', (_, report, expected) => {
    const result = { reason: 'Completed', message: '', ...report };
    expect(told(plan(claim, { pods: pods(claim, { hasSucceeded: true, result }) }))).toEqual([expected]);
  });

  test('gives its messages back then', () => {
    const actions = plan(claim, { pods: pods(claim) });
    expect(actions).toMatchObject([{ kind: 'settle', final: true, result: { reason: 'JobDeleted' } }]);
    expect(told(actions)).toEqual(['0 release']);
  });
});

describe('a settlement', () => {
  test('uses the newest receipt handle, also one that no Job has stored yet', () => {
    const claim = aClaim({ outcome: 'succeeded', message: { receiveCount: 1 } });
    const inbox = [anInboxMessage({ receiveCount: 2, receiptHandle: 'newest' })];
    expect(plan(claim, { inbox, pods: pods(claim) })).toMatchObject([
      {
        verdicts: [{ does: 'delete', message: { id: MESSAGE_ID, receiptHandle: 'newest', receiveCount: 2 } }],
      },
    ]);
  });

  test.each([1, 2])(
    'does not go back to an older receipt handle (receive %i in the inbox)',
    (receiveCount) => {
      const claim = aClaim({ outcome: 'succeeded', message: { receiveCount: 2 } });
      const inbox = [anInboxMessage({ receiveCount, receiptHandle: 'other' })];
      expect(plan(claim, { inbox, pods: pods(claim) })).toMatchObject([
        { verdicts: [{ message: claim.held[0] }] },
      ]);
    },
  );

  test('that is done is not done again', () => {
    expect(plan(aClaim({ outcome: 'succeeded', settled: true }))).toEqual([]);
    expect(plan(aClaim({ outcome: 'failed', settled: true }))).toEqual([]);
  });

  test.each(['succeeded', 'failed'] as const)(
    'touches no message for an unreadable ledger of a Job that %s',
    (outcome) => {
      const claim = aClaim({ outcome, annotations: { [ANNOTATION_LEDGER]: '?' } });
      expect(plan(claim, { pods: pods(claim) })).toMatchObject([
        { note: 'abandoned', verdicts: [], final: true },
      ]);
    },
  );
});

const FIFO = { ...QUEUE, url: `${QUEUE.url}.fifo`, arn: `${QUEUE.arn}.fifo` };
const GROUP = [0, 1, 2, 3].map(aGroupMessage);

function aGroupMessage(number: number): Message {
  const attributes = { MessageGroupId: 'g', SequenceNumber: String(100 + number) };
  return aMessage({ id: messageId(number), queue: FIFO, attributes });
}

describe('of a message group', () => {
  const outcome = 'failed';

  test('the messages before the first that is not done are deleted, the rest goes back last to first', () => {
    const claim = aClaim({ messages: GROUP, outcome });
    const result = { exitCode: 1, reason: 'Error', message: '', succeededIndexes: '0,2-3' };
    expect(told(plan(claim, { pods: pods(claim, { result }) }))).toEqual([
      '0 delete',
      '3 release',
      '2 release',
      '1 release',
    ]);
  });

  test('those that go back come back together', () => {
    const claim = aClaim({ messages: GROUP, outcome, attempt: 5 });
    const actions = plan(claim, { pods: pods(claim) });
    const [action] = actions;
    const delays = action?.kind === 'settle' ? action.verdicts.map(({ delaySeconds }) => delaySeconds) : [];
    expect(new Set(delays).size).toBe(1);
  });

  test('one that is rejected is not overtaken', () => {
    const claim = aClaim({ messages: GROUP, outcome });
    const result = { exitCode: 1, reason: 'Error', message: '', succeededIndexes: '0', rejectedIndexes: '1' };
    expect(told(plan(claim, { pods: pods(claim, { result }) }))).toEqual([
      '0 delete',
      '3 release',
      '2 release',
      '1 reject',
    ]);
  });

  const refused = aClaim({ messages: GROUP, outcome: 'succeeded' });
  const [first, ...others] = refused.ledger?.messages ?? [];
  const ledger = {
    ...refused.ledger,
    messages: [{ ...first, refusedAtMs: NOW_MS }, ...others],
    deleted: '1-3',
  };
  const annotations = { [ANNOTATION_LEDGER]: JSON.stringify(ledger) };
  const waiting = aClaim({ messages: GROUP, outcome: 'succeeded', annotations });

  test('a delete that was refused for its expired handle stays owed until the message comes again', () => {
    expect(plan(waiting, { pods: pods(waiting) })).toEqual([]);
    const again = anInboxMessage({ ...GROUP[0], receiveCount: 2, receiptHandle: 'newest' });
    expect(plan(waiting, { inbox: [again], pods: pods(waiting) })).toMatchObject([
      { final: true, verdicts: [{ does: 'delete', message: { receiptHandle: 'newest', index: 0 } }] },
    ]);
  });

  /** All answered since the refusal, and an empty one that began so much later. */
  const polls = (ms: number) => ({ answeredSinceMs: NOW_MS - 60_000, emptyAtMs: NOW_MS + ms });

  test.each([
    ['one that began before its visibility timeout must be over', polls(360_000)],
    ['one after another that was not answered', { ...polls(360_001), answeredSinceMs: NOW_MS + 1 }],
  ])('an empty poll tells nothing about it: %s', (_, brought) => {
    expect(plan(waiting, { polls: brought, pods: pods(waiting) })).toEqual([]);
  });

  const later = anInboxMessage({ ...aGroupMessage(4), receivedAtMs: NOW_MS + 1 });

  test.each<[string, Partial<InboxMessage>]>([
    ['later, but was asked for before', { receivedAtMs: NOW_MS }],
    ['of another group', { attributes: { MessageGroupId: 'other', SequenceNumber: '104' } }],
    ['earlier', { attributes: { MessageGroupId: 'g', SequenceNumber: '99' } }],
    ['of another queue', { queue: { ...QUEUE, arn: 'arn:aws:sqs:us-east-1:123456789012:other.fifo' } }],
  ])('a message that is %s tells nothing about it', (_, parts) => {
    expect(plan(waiting, { inbox: [{ ...later, ...parts }], pods: pods(waiting) })).toEqual([]);
  });

  test.each([
    ['its retention is over', waiting, { retentionSeconds: 10 }],
    ['no BatchQueue polls any more', waiting, { queue: undefined }],
    ['another queue is polled now', waiting, { queueArn: QUEUE.arn }],
    ['it has been received as often as it may', waiting, { maxReceiveCount: 1 }],
    ['polls have brought nothing for long enough', waiting, { polls: polls(360_001) }],
    ['a later message of its group is received', waiting, { inbox: [later] }],
    [
      'a Job holds a later message of its group',
      waiting,
      { claims: [waiting, aClaim({ messages: [later] })] },
    ],
    [
      'somebody deletes the Job',
      aClaim({ messages: GROUP, outcome: 'succeeded', annotations, deleting: true }),
      {},
    ],
  ])('but no longer when %s', (_, claim, context) => {
    expect(plan(claim, { ...context, pods: pods(claim) })).toMatchObject([{ final: true, verdicts: [] }]);
  });
});

describe('a batch', () => {
  const messages = [0, 1, 2].map((number) => aMessage({ id: messageId(number) }));

  test('is settled message by message, as its worker says', () => {
    const claim = aClaim({ messages, outcome: 'failed' });
    const result = { exitCode: 1, reason: 'Error', message: '', succeededIndexes: '0', rejectedIndexes: '2' };
    const actions = plan(claim, { pods: pods(claim, { result }) });
    expect(told(actions)).toEqual(['0 delete', '1 release', '2 reject']);
    expect(actions).toMatchObject([{ final: true, verdicts: [{}, {}, { delaySeconds: 3600 }] }]);
  });

  test('deletes what is done, and leaves the rest of what a Job of a later attempt holds to that one', () => {
    const claim = aClaim({ messages, outcome: 'failed' });
    const later = aClaim({ messages: messages.slice(0, 2), attempt: 2 });
    const result = { exitCode: 1, reason: 'Error', message: '', succeededIndexes: '0' };
    const actions = plan(claim, { claims: [claim, later], pods: pods(claim, { result }) });
    expect(told(actions)).toEqual(['0 delete', '2 release']);
    expect(actions).toMatchObject([{ final: true }]);
  });

  test.each([
    ['copies what is rejected when the spec says so', DEAD_LETTER_ARN, '2 copy'],
    ['leaves it to the redrive policy when there is no dead-letter queue to copy to', undefined, '2 reject'],
  ])('%s', (_, deadLetterArn, last) => {
    const claim = aClaim({ messages, outcome: 'failed' });
    const result = { exitCode: 1, reason: 'Error', message: '', succeededIndexes: '0', rejectedIndexes: '2' };
    const queue = aQueue({ spec: { deadLetter: { sendRejected: true } } });
    const actions = plan(claim, { pods: pods(claim, { result }), queue, deadLetterArn });
    expect(told(actions)).toEqual(['0 delete', '1 release', last]);
  });

  test('comes back when its worker asks, within what is left of twelve hours', () => {
    const claim = aClaim({ messages, outcome: 'failed' });
    const report = { exitCode: 75, reason: 'TemporaryFailure', message: '' };
    const delays = [0, 90, 999_999].map((retryAfterSeconds) =>
      firstDelay(plan(claim, { pods: pods(claim, { result: { ...report, retryAfterSeconds } }) })),
    );
    expect(delays).toEqual([0, 90, 43_185]);
  });
});

describe('an Indexed Job', () => {
  const template = { spec: { containers: [{ name: 'worker', image: 'worker:1' }] } };
  const queue = aQueue({ spec: { jobTemplate: { spec: { completionMode: 'Indexed', template } } } });
  const parts = { queue, messages: [0, 1, 2].map((number) => aMessage({ id: messageId(number) })) };

  test('is settled index by index while it runs, and keeps its finalizer', () => {
    const claim = aClaim({ ...parts, completedIndexes: '0', failedIndexes: '2' });
    const actions = plan(claim, { pods: pods(claim) });
    expect(told(actions)).toEqual(['0 delete', '2 release']);
    expect(actions).toMatchObject([{ final: false }]);
  });

  test('does nothing again for an index that is settled', () => {
    const claim = aClaim({ ...parts, completedIndexes: '0', fates: { deleted: '0' } });
    expect(plan(claim)).toEqual([]);
  });

  test('that somebody deletes as a pod of it succeeds gives back the others', () => {
    const claim = aClaim({ ...parts, completedIndexes: '0', deleting: true });
    const ended = pods(claim, { succeededIndexes: new Set([2]) });
    expect(told(plan(claim, { pods: ended }))).toEqual(['0 delete', '1 release', '2 delete']);
  });

  test('drops its finalizer with its end', () => {
    const claim = aClaim({
      ...parts,
      outcome: 'succeeded',
      completedIndexes: '0-2',
      fates: { deleted: '0-2' },
    });
    expect(plan(claim)).toMatchObject([{ final: true, verdicts: [] }]);
  });
});

describe('a Job is settled as', () => {
  const reading = (queueName: string, account: string) =>
    aQueue({
      spec: {
        queue: {
          ...aQueue().spec.queue,
          url: QUEUE.url.replace('orders', queueName),
          serviceAccountName: account,
        },
      },
    });
  const accountOf = (context: Partial<SettlementContext>) => {
    const [action] = plan(aClaim({ outcome: 'succeeded' }), { pods: pods(aClaim()), ...context });
    return action?.kind === 'settle' ? action.queue?.serviceAccountName : action?.kind;
  };

  test.each<[string, Partial<SettlementContext>, string]>([
    ['whoever reads its queue now', { queue: reading('orders', 'newer'), queueArn: QUEUE.arn }, 'newer'],
    ['its ledger says when nobody reads the queue', { queue: undefined, queueArn: QUEUE.arn }, 'default'],
    [
      'its ledger says when another queue is read',
      { queue: reading('others', 'newer'), queueArn: `${QUEUE.arn}2` },
      'default',
    ],
    [
      'its ledger says when it is not known which queue is read',
      { queue: reading('orders', 'newer') },
      'default',
    ],
  ])('%s', (_, context, expected) => {
    expect(accountOf(context)).toBe(expected);
  });
});
