import { describe, expect, test } from '@jest/globals';
import { type BatchQueueStatus, batchQueueStatusSchema } from '../../../operator/api/status.ts';
import { planConditions } from '../../../operator/plan/conditions.ts';
import { CHECKING, faulty, passed, unchecked, warned } from '../../../operator/plan/preflight.ts';
import type { Snapshot } from '../../../operator/plan/snapshot.ts';
import { planStatus } from '../../../operator/plan/status.ts';
import {
  aClaim,
  anInboxMessage,
  aQueue,
  aRevision,
  aSnapshot,
  type ClaimParts,
  DEAD_LETTER_ARN,
  MESSAGE_ID,
  messageId,
  NOW_MS,
  QUEUE,
  reachable,
} from '../../support/builders.ts';

function statusOf(snapshot: Snapshot, previous: BatchQueueStatus = {}, generation = 1): BatchQueueStatus {
  return planStatus(snapshot, { generation, previous }, snapshot.revisions.at(-1));
}

function conditionsOf(parts: Partial<Snapshot>): Record<string, string> {
  return Object.fromEntries(
    planConditions(aSnapshot(parts)).map(({ type, status, reason }) => [type, `${status} ${reason}`]),
  );
}

/** A settled Job that ended so many seconds ago. */
function ended(number: number, parts: ClaimParts) {
  return aClaim({
    settled: true,
    message: { id: messageId(number) },
    name: `job-${number}`,
    finishedAtMs: NOW_MS - number * 1_000,
    ...parts,
  });
}

const unreachable = { kind: 'unreachable', reason: 'QueueNotFound', message: 'no such queue' } as const;
const problem = { reason: 'QueueAccessDenied', message: 'not allowed' };

describe('the conditions', () => {
  test('all stand there from the first turn on', () => {
    const nothing = { observation: { kind: 'unknown' }, templateCheck: { kind: 'unknown' } } as const;
    expect(conditionsOf(nothing)).toEqual({
      Ready: 'Unknown Checking',
      QueueReachable: 'Unknown Checking',
      DeadLetterConfigured: 'Unknown Checking',
      TemplateValid: 'Unknown Checking',
      Dispatching: 'False Checking',
      Drained: 'Unknown Checking',
    });
  });

  test('of a BatchQueue at rest', () => {
    expect(conditionsOf({})).toEqual({
      Ready: 'True Running',
      QueueReachable: 'True Reachable',
      DeadLetterConfigured: 'True RedrivePolicySet',
      TemplateValid: 'True Accepted',
      Dispatching: 'True Polling',
      Drained: 'True Empty',
    });
  });

  test.each<[string, Partial<Snapshot>, Record<string, string>]>([
    [
      'a spec that is not valid is told first',
      { queue: undefined, problems: ['spec.a: b', 'spec.c: d'], templateCheck: { kind: 'unknown' } },
      { Ready: 'False InvalidSpec' },
    ],
    [
      'a queue that does not answer',
      { observation: unreachable },
      {
        Ready: 'False QueueNotFound',
        QueueReachable: 'False QueueNotFound',
        Dispatching: 'False QueueNotFound',
        Drained: 'Unknown Checking',
      },
    ],
    [
      'a queue that answers but may not be received from',
      { receiveProblem: problem },
      { Ready: 'False QueueAccessDenied', QueueReachable: 'False QueueAccessDenied' },
    ],
    [
      'a template that the server refuses',
      { templateCheck: { kind: 'invalid', message: 'spec.x: bad', recheckAtMs: NOW_MS } },
      {
        Ready: 'False TemplateRefused',
        TemplateValid: 'False TemplateRefused',
        Dispatching: 'False TemplateRefused',
      },
    ],
    [
      'what is False is told before what is Unknown',
      {
        observation: { kind: 'unknown' },
        templateCheck: { kind: 'invalid', message: 'm', recheckAtMs: NOW_MS },
      },
      { Ready: 'False TemplateRefused' },
    ],
    [
      'a check that no message would survive',
      { preflight: { storage: faulty('VolumeClaimNotFound', 'create it') } },
      {
        Ready: 'False VolumeClaimNotFound',
        StorageReady: 'False VolumeClaimNotFound',
        Dispatching: 'False VolumeClaimNotFound',
      },
    ],
    [
      'a check that has not answered yet',
      { preflight: { storage: passed('Bound', 'm'), image: CHECKING } },
      {
        Ready: 'Unknown Checking',
        StorageReady: 'True Bound',
        ImageResolved: 'Unknown Checking',
        Dispatching: 'False Checking',
      },
    ],
    [
      'a check that only warns',
      { preflight: { storage: warned('NfsVolume', 'm'), pullSecret: unchecked('CheckForbidden', 'm') } },
      {
        Ready: 'True Running',
        StorageReady: 'False NfsVolume',
        PullSecretReady: 'Unknown CheckForbidden',
        Dispatching: 'True Polling',
      },
    ],
    [
      'an account without which the queue cannot be asked',
      {
        observation: unreachable,
        preflight: { serviceAccount: faulty('ServiceAccountNotFound', 'm') },
      },
      { Ready: 'False ServiceAccountNotFound', QueueReachable: 'False QueueNotFound' },
    ],
    [
      'a pinned revision that is not kept',
      { queue: aQueue({ spec: { revision: 7 } }), revisions: [aRevision()] },
      {
        Ready: 'False RevisionNotFound',
        TemplateValid: 'False RevisionNotFound',
        Dispatching: 'False RevisionNotFound',
      },
    ],
    [
      'suspended is ready and does not dispatch',
      { queue: aQueue({ spec: { suspend: true } }) },
      { Ready: 'True Suspended', Dispatching: 'False Suspended' },
    ],
    [
      'the younger of two on one SQS queue is not ready',
      { queueInUseBy: 'shop/older' },
      { Ready: 'False QueueInUse', Dispatching: 'False QueueInUse', QueueReachable: 'True Reachable' },
    ],
    [
      'scaled to nothing is ready and does not dispatch',
      { queue: aQueue({ spec: { maxConcurrentJobs: 0 } }) },
      { Ready: 'True Running', Dispatching: 'False ScaledToZero' },
    ],
    [
      'a queue without a dead-letter queue works',
      { observation: reachable({ deadLetterArn: undefined, maxReceiveCount: undefined }) },
      { Ready: 'True Running', DeadLetterConfigured: 'False NoRedrivePolicy', Dispatching: 'True Polling' },
    ],
    ['visible messages', { observation: reachable({ visible: 1 }) }, { Drained: 'False MessagesLeft' }],
    ['messages in flight', { observation: reachable({ inFlight: 1 }) }, { Drained: 'False MessagesLeft' }],
    ['delayed messages', { observation: reachable({ delayed: 1 }) }, { Drained: 'False MessagesLeft' }],
    ['a received message', { inbox: [anInboxMessage()] }, { Drained: 'False MessagesLeft' }],
    [
      'a Job that is not settled',
      { claims: [aClaim({ outcome: 'failed' })] },
      { Drained: 'False MessagesLeft' },
    ],
    ['a settled Job', { claims: [aClaim({ outcome: 'failed', settled: true })] }, { Drained: 'True Empty' }],
  ])('tell of %s', (_, parts, expected) => {
    expect(conditionsOf(parts)).toMatchObject(expected);
  });

  test('stand in one order', () => {
    const check = passed('Fine', 'm');
    const preflight = { pullSecret: check, image: check, storage: check, serviceAccount: check };
    expect(planConditions(aSnapshot({ preflight })).map(({ type }) => type)).toEqual([
      'Ready',
      'QueueReachable',
      'DeadLetterConfigured',
      'ServiceAccountReady',
      'StorageReady',
      'ImageResolved',
      'PullSecretReady',
      'TemplateValid',
      'Dispatching',
      'Drained',
    ]);
  });

  test('name every problem of a spec', () => {
    const [ready] = planConditions(aSnapshot({ queue: undefined, problems: ['spec.a: b', 'spec.c: d'] }));
    expect(ready?.message).toBe('spec.a: b; spec.c: d');
  });

  test('change their time only with their status', () => {
    const before = statusOf(aSnapshot());
    const later = statusOf(aSnapshot({ nowMs: NOW_MS + 60_000, receiveProblem: problem }), before, 2);
    const times = (status: BatchQueueStatus) =>
      Object.fromEntries(
        (status.conditions ?? []).map(({ type, lastTransitionTime }) => [type, lastTransitionTime]),
      );
    expect(times(later)).toEqual({
      ...times(before),
      Ready: '2026-01-01T12:01:00Z',
      QueueReachable: '2026-01-01T12:01:00Z',
      Dispatching: '2026-01-01T12:01:00Z',
    });
    expect(later.conditions?.every(({ observedGeneration }) => observedGeneration === 2)).toBe(true);
    const reworded = statusOf(
      aSnapshot({ nowMs: NOW_MS + 90_000, receiveProblem: { reason: 'Other', message: 'else' } }),
      later,
      2,
    );
    expect(times(reworded)).toEqual(times(later));
  });

  test('are never longer than the API server takes', () => {
    const endless = 'x'.repeat(40_000);
    for (const parts of [
      { problems: [endless], queue: undefined },
      { receiveProblem: { reason: 'Odd', message: endless } },
      { templateCheck: { kind: 'invalid', message: endless, recheckAtMs: NOW_MS } as const },
    ]) {
      expect(batchQueueStatusSchema.safeParse(statusOf(aSnapshot(parts))).error?.issues).toBeUndefined();
    }
  });
});

describe('the figures of the queue', () => {
  const first = statusOf(aSnapshot({ observation: reachable({ visible: 2, inFlight: 1, delayed: 3 }) }));

  test('are what SQS said', () => {
    expect(first.queue).toEqual({
      arn: QUEUE.arn,
      visible: 2,
      inFlight: 1,
      delayed: 3,
      deadLetterArn: DEAD_LETTER_ARN,
      deadLetter: 0,
      maxReceiveCount: 4,
      observedTime: '2026-01-01T11:59:59Z',
    });
  });

  test('keep their time while none of them moves', () => {
    const later = aSnapshot({
      observation: reachable({ visible: 2, inFlight: 1, delayed: 3 }, NOW_MS + 60_000),
    });
    expect(statusOf(later, first).queue).toEqual(first.queue);
  });

  test('take the new time when one of them moves', () => {
    const later = aSnapshot({
      observation: reachable({ visible: 3, inFlight: 1, delayed: 3 }, NOW_MS + 60_000),
    });
    expect(statusOf(later, first).queue).toMatchObject({ visible: 3, observedTime: '2026-01-01T12:01:00Z' });
  });

  test('stay what they were while the queue does not answer', () => {
    expect(statusOf(aSnapshot({ observation: unreachable }), first).queue).toEqual(first.queue);
  });

  test('are dropped when the URL names another queue that has not answered', () => {
    const url = 'https://sqs.us-east-1.amazonaws.com/123456789012/other';
    const elsewhere = aQueue({ spec: { queue: { url } } });
    expect(statusOf(aSnapshot({ observation: unreachable, queue: elsewhere }), first).queue).toBeUndefined();
  });
});

describe('the figures of the Jobs', () => {
  test('count what takes a slot, and find the oldest message that is held', () => {
    const claims = [
      aClaim({ name: 'a', running: true }),
      aClaim({ name: 'b' }),
      aClaim({ name: 'c', outcome: 'failed', message: { sentAtMs: NOW_MS - 600_000 } }),
      aClaim({ name: 'd', outcome: 'failed', settled: true, message: { sentAtMs: NOW_MS - 900_000 } }),
    ];
    expect(statusOf(aSnapshot({ claims })).jobs).toEqual({
      active: 2,
      running: 1,
      pending: 1,
      oldestMessageTime: '2026-01-01T11:50:00Z',
    });
    expect(statusOf(aSnapshot()).jobs).toEqual({ active: 0, running: 0, pending: 0 });
  });
});

describe('the revision', () => {
  test('is the current one with its image', () => {
    const queue = aQueue({ image: 'worker:2' });
    const snapshot = aSnapshot({ queue, revisions: [aRevision(queue, 5)] });
    expect(statusOf(snapshot).revision).toEqual({ current: 5, image: 'worker:2' });
  });

  test('stays what it was while there is none: numbers only grow from it', () => {
    const previous = { revision: { current: 7, image: 'w' } };
    expect(statusOf(aSnapshot({ revisions: [] }), previous).revision).toEqual(previous.revision);
  });

  test('that is pinned stands beside the latest one', () => {
    const old = aRevision(aQueue({ image: 'worker:1' }), 1);
    const queue = aQueue({ image: 'worker:2', spec: { revision: 1 } });
    const latest = aRevision(queue, 2);
    const pinned = planStatus(
      aSnapshot({ queue, revisions: [old, latest] }),
      { generation: 2, previous: {} },
      old,
    );
    expect(pinned.revision).toEqual({ current: 1, pinned: 1, latest: 2, image: 'worker:1' });
    const same = aQueue({ image: 'worker:2', spec: { revision: 2 } });
    expect(statusOf(aSnapshot({ queue: same, revisions: [old, latest] })).revision).toEqual({
      current: 2,
      pinned: 2,
      image: 'worker:2',
    });
  });
});

describe('what has happened', () => {
  const result = { exitCode: 65, reason: 'DataError', message: 'line 3' };
  const annotations = { 'batchqueue.io/result': JSON.stringify(result) };

  test('is told of settled Jobs only', () => {
    const claims = [aClaim({ outcome: 'failed', name: 'a' }), aClaim({ outcome: 'succeeded', name: 'b' })];
    const status = statusOf(aSnapshot({ claims }));
    expect(status).toMatchObject({ recentRuns: [] });
    expect(status).not.toHaveProperty('lastFailure');
    expect(status).not.toHaveProperty('lastSuccessTime');
  });

  test('names the newest failure and success', () => {
    const claims = [
      ended(4, { outcome: 'failed', message: { id: MESSAGE_ID }, annotations }),
      ended(9, { outcome: 'failed' }),
      ended(3, { outcome: 'succeeded' }),
    ];
    expect(statusOf(aSnapshot({ claims }))).toMatchObject({
      lastSuccessTime: '2026-01-01T11:59:57Z',
      lastFailure: {
        time: '2026-01-01T11:59:56Z',
        job: 'job-4',
        messageIds: [MESSAGE_ID],
        messageCount: 1,
        ...result,
      },
    });
  });

  test('is remembered when its Job is gone', () => {
    const claims = [ended(4, { outcome: 'failed', annotations }), ended(3, { outcome: 'succeeded' })];
    const before = statusOf(aSnapshot({ claims }));
    const older = [ended(60, { outcome: 'failed' }), ended(61, { outcome: 'succeeded' })];
    const { lastFailure, lastSuccessTime, recentRuns } = statusOf(aSnapshot({ claims: older }), before);
    expect({ lastFailure, lastSuccessTime }).toEqual({
      lastFailure: before.lastFailure,
      lastSuccessTime: before.lastSuccessTime,
    });
    expect(recentRuns?.map(({ job }) => job)).toEqual(['job-3', 'job-4', 'job-60', 'job-61']);
  });

  test('keeps the newest ten runs, newest first, each once', () => {
    const claims = [5, 1, 3].map((number) => ended(number, { outcome: 'succeeded' }));
    const more = Array.from({ length: 12 }, (_, index) => ended(index + 1, { outcome: 'failed' }));
    const before = statusOf(aSnapshot({ claims }));
    const runs = statusOf(aSnapshot({ claims: more }), before).recentRuns;
    expect(runs?.map(({ job }) => job)).toEqual(Array.from({ length: 10 }, (_, index) => `job-${index + 1}`));
  });
});

describe('a status does not flap', () => {
  const worlds: [string, Partial<Snapshot>][] = [
    ['at rest', {}],
    ['with a queue that does not answer', { observation: unreachable }],
    [
      'with nothing known',
      { observation: { kind: 'unknown' }, templateCheck: { kind: 'unknown' }, revisions: [] },
    ],
    [
      'with Jobs that ended in the same second',
      {
        claims: ['a', 'b', 'c'].map((name) =>
          ended(3, {
            outcome: 'failed',
            name,
            finishedAtMs: NOW_MS - 1_500,
            failure: { reason: name, message: name },
          }),
        ),
      },
    ],
    [
      'with everything at once',
      { claims: [aClaim({ running: true }), ended(2, { outcome: 'succeeded' })], inbox: [anInboxMessage()] },
    ],
  ];

  test.each(worlds)(
    '%s: the same world again, a minute later and listed in another order, gives the same status',
    (_, parts) => {
      const before = aSnapshot(parts);
      const status = statusOf(before);
      const later = { ...before, nowMs: NOW_MS + 60_000 };
      expect(statusOf(later, status)).toEqual(status);
      expect(statusOf({ ...later, claims: before.claims.toReversed() }, status)).toEqual(status);
    },
  );

  test.each(worlds)('%s: it is one that the API server takes, and plain JSON', (_, parts) => {
    const status = statusOf(aSnapshot(parts));
    expect(batchQueueStatusSchema.parse(status)).toEqual(status);
    expect(JSON.parse(JSON.stringify(status))).toStrictEqual(status);
  });
});
