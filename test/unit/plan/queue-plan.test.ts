import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { ANNOTATION_LEDGER } from '../../../operator/api/names.ts';
import type { Action, Plan } from '../../../operator/plan/plan.ts';
import { CHECKING, faulty, unchecked, warned } from '../../../operator/plan/preflight.ts';
import { planQueue } from '../../../operator/plan/queue-plan.ts';
import type { Snapshot } from '../../../operator/plan/snapshot.ts';
import {
  aClaim,
  aMessage,
  anInboxMessage,
  aQueue,
  aRevision,
  aSnapshot,
  type ClaimParts,
  messageId,
  NOW_MS,
  QUEUE,
  reachable,
} from '../../support/builders.ts';
import { applied } from '../../support/plan-model.ts';

function plan(snapshot: Snapshot): Plan {
  return planQueue(snapshot, undefined);
}

function kinds(snapshot: Snapshot): string[] {
  return plan(snapshot).actions.map(({ kind }) => kind);
}

const deleted = aQueue({ metadata: { deletionTimestamp: new Date(NOW_MS).toISOString() } });

const aPodThatEnded = {
  running: 0,
  terminating: 0,
  neverStarted: false,
  result: undefined,
  resultOfIndex: new Map(),
};

const RIGHTS = { isTried: true, missing: undefined, copying: undefined };

describe('intake', () => {
  test('may fill the slots that Jobs do not take', () => {
    const claims = [
      aClaim({ name: 'active' }),
      aClaim({ name: 'deleting', deleting: true }),
      aClaim({ name: 'ended', outcome: 'failed' }),
      aClaim({ name: 'settled', outcome: 'succeeded', settled: true }),
    ];
    const pods = new Map([['ended', aPodThatEnded]]);
    expect(plan(aSnapshot({ claims, pods })).intake).toEqual({
      queue: QUEUE,
      room: 8,
      perJob: 1,
      perReceive: 10,
      visibilityTimeoutSeconds: 300,
    });
    // It may wait for its next run, as long as its pods could not be read.
    expect(plan(aSnapshot({ claims })).intake).toMatchObject({ room: 7 });
  });

  test('leaves the slot to a Job that is being created, whose message is still in the inbox', () => {
    const queue = aQueue({ spec: { maxConcurrentJobs: 1 } });
    const inbox = [anInboxMessage(), anInboxMessage({ id: messageId(2) })];
    const snapshot = aSnapshot({ queue, inbox });
    const underWay = plan(snapshot).actions.filter((action) => action.kind === 'claim');
    expect(underWay).toHaveLength(1);

    const next = plan({ ...snapshot, underWay });
    expect(next.actions).toEqual([]);
    expect(next.intake).toMatchObject({ room: 1 });
    const unconfirmed = underWay.map((action) => ({ action, sentAtMs: NOW_MS }));
    expect(plan({ ...snapshot, unconfirmed }).actions).toEqual([]);
  });

  const fifo = { ...QUEUE, url: `${QUEUE.url}.fifo`, arn: `${QUEUE.arn}.fifo` };
  const head = aMessage({ queue: fifo, attributes: { MessageGroupId: 'g', SequenceNumber: '1' } });
  test.each<[string, Partial<ClaimParts>, number]>([
    ['as many of a group as one Job takes', { outcome: 'succeeded' }, 5],
    ['the first message of a blocked group alone', { outcome: 'failed', fates: { released: '0' } }, 1],
  ])('asks a FIFO queue for %s', (_, parts, perReceive) => {
    const queue = aQueue({ spec: { queue: { url: fifo.url, batchSize: 5 } } });
    const claims = [aClaim({ queue, messages: [head], settled: true, ...parts })];
    const observation = reachable({ arn: fifo.arn });
    expect(plan(aSnapshot({ queue, claims, observation })).intake).toMatchObject({ perReceive, room: 50 });
  });

  test('has no slot, and never fewer, when more Jobs run than may', () => {
    const claims = [aClaim({ name: 'a' }), aClaim({ name: 'b' })];
    const queue = aQueue({ spec: { maxConcurrentJobs: 1 } });
    expect(plan(aSnapshot({ queue, claims })).intake?.room).toBe(0);
  });

  test.each<[string, Partial<Snapshot>]>([
    ['suspended', { queue: aQueue({ spec: { suspend: true } }) }],
    ['the younger of two on one SQS queue', { queueInUseBy: 'shop/older' }],
    ['being deleted', { queue: deleted }],
    ['gone', { queue: undefined }],
    ['not known to be reachable', { observation: { kind: 'unknown' } }],
    ['unreachable', { observation: { kind: 'unreachable', reason: 'QueueNotFound', message: 'none' } }],
    ['without a checked template', { templateCheck: { kind: 'unknown' } }],
    [
      'refused by the API server',
      { templateCheck: { kind: 'invalid', message: 'm', recheckAtMs: NOW_MS + 1 } },
    ],
    ['without a revision', { revisions: [] }],
    ['pinned to a revision that is not kept', { queue: aQueue({ spec: { revision: 7 } }) }],
    ['in want of something', { preflight: { storage: faulty('VolumeClaimNotFound', 'create it') } }],
    [
      'without permission to delete',
      { rights: { ...RIGHTS, missing: { reason: 'QueueAccessDenied', message: 'm' } } },
    ],
    ['whose permissions have not been tried', { rights: { ...RIGHTS, isTried: false } }],
    ['not checked yet', { preflight: { storage: CHECKING } }],
  ])('starts no poll for a BatchQueue that is %s', (_, parts) => {
    expect(plan(aSnapshot(parts)).intake).toBeUndefined();
  });
});

test('a warning and a check that could not be done stop no poll', () => {
  const preflight = { storage: warned('NfsVolume', 'm'), image: unchecked('CheckForbidden', 'm') };
  expect(plan(aSnapshot({ preflight })).intake).toBeDefined();
});

describe('leases', () => {
  test('are kept for every Job that is not settled, whatever else is wrong', () => {
    const claims = [
      aClaim({ message: { id: messageId(1), receiptHandle: 'r-1' } }),
      aClaim({ message: { id: messageId(2) }, outcome: 'failed' }),
      aClaim({ message: { id: messageId(3) }, outcome: 'succeeded' }),
      aClaim({ message: { id: messageId(4) }, deleting: true }),
      aClaim({ message: { id: messageId(5) }, outcome: 'failed', settled: true }),
      aClaim({ message: { id: messageId(6) }, annotations: { [ANNOTATION_LEDGER]: '?' } }),
    ];
    const { leases } = plan(aSnapshot({ claims, queue: undefined, observation: { kind: 'unknown' } }));
    expect(leases.map((lease) => lease.messageId)).toEqual([1, 2, 3, 4].map(messageId));
    expect(leases[0]).toEqual({
      queue: QUEUE,
      messageId: messageId(1),
      receiptHandle: 'r-1',
      receivedAtMs: NOW_MS - 5_000,
      visibilityTimeoutSeconds: 300,
    });
  });

  test('are not kept of what SQS is just being told of, and its Job is left alone until that is done', () => {
    const claims = [
      aClaim({ name: 'done', message: { id: messageId(1) }, outcome: 'succeeded' }),
      aClaim({ name: 'active', message: { id: messageId(2) } }),
    ];
    const again = anInboxMessage({ id: messageId(1), receiveCount: 2 });
    const snapshot = aSnapshot({ claims, inbox: [again], pods: new Map([['done', aPodThatEnded]]) });
    const settling = plan(snapshot).actions.filter((action) => action.kind === 'settle');
    expect(settling).toMatchObject([{ claim: claims[0], verdicts: [{ does: 'delete' }] }]);

    const next = plan({ ...snapshot, settling });

    expect(next.actions).toEqual([]);
    expect(next.leases.map((lease) => lease.messageId)).toEqual([messageId(2)]);
  });
});

describe('the template check', () => {
  const revisions = [aRevision()];
  test.each<[string, Partial<Snapshot>, string[]]>([
    ['is due when nobody asked', { templateCheck: { kind: 'unknown' } }, ['checkTemplate']],
    ['is not due once valid', { templateCheck: { kind: 'valid' } }, []],
    [
      'is not due again too soon',
      { templateCheck: { kind: 'invalid', message: 'm', recheckAtMs: NOW_MS + 1 } },
      [],
    ],
    [
      'is due again after a while',
      { templateCheck: { kind: 'invalid', message: 'm', recheckAtMs: NOW_MS } },
      ['checkTemplate'],
    ],
    ['waits for the revision', { templateCheck: { kind: 'unknown' }, revisions: [] }, ['createRevision']],
    ['is not made for a BatchQueue that goes', { templateCheck: { kind: 'unknown' }, queue: deleted }, []],
  ])('%s', (_, parts, expected) => {
    expect(kinds(aSnapshot({ revisions, ...parts }))).toEqual(expected);
  });
});

describe('the next look', () => {
  test.each<[string, Partial<Snapshot>, number | undefined]>([
    ['is not needed at rest', {}, undefined],
    ['comes soon while pods of a deleted Job end', { claims: [aClaim({ deleting: true })] }, 1_000],
    [
      'is not needed for a deleted Job that has ended',
      { claims: [aClaim({ deleting: true, outcome: 'failed' })] },
      undefined,
    ],
    [
      'comes when the template may be asked about again',
      { templateCheck: { kind: 'invalid', message: 'm', recheckAtMs: NOW_MS + 9_000 } },
      9_000,
    ],
    ['comes when payload Secrets are to be swept', { sweepAtMs: NOW_MS + 5_000 }, 5_000],
    [
      'does not come for a sweep while messages wait, because none is made then',
      { sweepAtMs: NOW_MS - 1, inbox: [anInboxMessage()], templateCheck: { kind: 'unknown' } },
      undefined,
    ],
    [
      'is never in the past',
      { templateCheck: { kind: 'invalid', message: 'm', recheckAtMs: NOW_MS - 1 } },
      0,
    ],
  ])('%s', (_, parts, expected) => {
    expect(plan(aSnapshot(parts)).requeueAfterMs).toBe(expected);
  });
});

describe('a BatchQueue that goes', () => {
  test.each<[string, Partial<Snapshot>]>([
    ['is gone', { queue: undefined, revisions: [] }],
    ['is being deleted', { queue: deleted, revisions: [] }],
  ])('and %s gives back its inbox, settles its Jobs and starts nothing', (_, parts) => {
    const claims = [
      aClaim({ message: { id: messageId(1) }, outcome: 'succeeded' }),
      aClaim({ message: { id: messageId(2) }, outcome: 'succeeded', settled: true }),
    ];
    const silent = { running: 0, terminating: 0, neverStarted: false, result: undefined };
    const pods = new Map(
      claims.map(({ job }) => [job.metadata.name, { ...silent, resultOfIndex: new Map() }] as const),
    );
    const inbox = [anInboxMessage({ id: messageId(9) })];
    expect(kinds(aSnapshot({ ...parts, claims, pods, inbox }))).toEqual(['release', 'settle']);
  });
});

test('a status is only planned for a BatchQueue that is there to have it', () => {
  expect(plan(aSnapshot()).status).toBeUndefined();
  expect(planQueue(aSnapshot(), { generation: 1, previous: {} }).status).toBeDefined();
});

const ids = [1, 2, 3].map(messageId);
const claimParts = fc.record({
  message: fc.record({ id: fc.constantFrom(...ids), receiveCount: fc.integer({ min: 1, max: 4 }) }),
  attempt: fc.integer({ min: 1, max: 4 }),
  outcome: fc.constantFrom('active' as const, 'succeeded' as const, 'failed' as const),
  settled: fc.boolean(),
  deleting: fc.boolean(),
  revision: fc.integer({ min: 1, max: 4 }),
  annotations: fc.constantFrom({}, {}, {}, { [ANNOTATION_LEDGER]: '?' }),
  finishedAtMs: fc.integer({ min: 1, max: 5 }).map((seconds) => NOW_MS - seconds * 1_000),
});

const inboxMessage = fc.record({
  id: fc.constantFrom(...ids, messageId(4)),
  receiveCount: fc.integer({ min: 1, max: 5 }),
  trustedUntilMs: fc.constantFrom(0, NOW_MS - 1, NOW_MS + 1_000, NOW_MS + 100_000, NOW_MS + 100_000),
  body: fc.constantFrom('a', 'a', 'b'.repeat(300_000)),
});

const queue = fc.constantFrom(
  undefined,
  deleted,
  aQueue({ spec: { suspend: true, revisionHistoryLimit: 1 } }),
  aQueue(),
  aQueue({ spec: { successfulJobsHistoryLimit: 0, failedJobsHistoryLimit: 1, revisionHistoryLimit: 0 } }),
  aQueue({ image: 'worker:2' }),
  aQueue({ image: 'worker:2', spec: { revision: 1, revisionHistoryLimit: 1 } }),
  aQueue({ image: 'worker:2', spec: { revision: 7 } }),
);

/**
 * Every state of a BatchQueue, likely and unlikely; names are unique as the API server keeps them. A Job that does not tell
 * what it holds has a name that no message asks for: otherwise its Job is refused until this one is gone, which takes more
 * than one plan.
 */
const snapshot: fc.Arbitrary<Snapshot> = fc
  .record({
    queue,
    claims: fc.uniqueArray(claimParts, {
      maxLength: 6,
      selector: ({ message, attempt }: { message: { id: string }; attempt: number }) =>
        `${message.id}/${attempt}`,
    }),
    inbox: fc.uniqueArray(inboxMessage, { maxLength: 4, selector: ({ id }) => id }),
    images: fc.uniqueArray(fc.constantFrom('worker:1', 'worker:2', 'worker:3', 'worker:4'), { maxLength: 4 }),
    templateCheck: fc.constantFrom<Snapshot['templateCheck']>(
      { kind: 'unknown' },
      { kind: 'valid' },
      { kind: 'valid' },
      { kind: 'invalid', message: 'm', recheckAtMs: NOW_MS + 5_000 },
      { kind: 'invalid', message: 'm', recheckAtMs: NOW_MS - 5_000 },
    ),
    listed: fc.array(fc.option(fc.tuple(fc.nat(2), fc.nat(2))), { minLength: 6, maxLength: 6 }),
    observation: fc.constantFrom<Snapshot['observation']>({ kind: 'unknown' }, reachable({ visible: 3 })),
  })
  .map(({ claims: parts, inbox, images, listed, ...rest }) => {
    const claims = parts.map((part: ClaimParts, index) =>
      aClaim(part.annotations?.[ANNOTATION_LEDGER] === '?' ? { ...part, name: `unreadable-${index}` } : part),
    );
    const pods = new Map(
      claims.flatMap(({ job }, index) => {
        const [running, terminating] = listed[index] ?? [];
        if (running === undefined || terminating === undefined) return [];
        const silent = { neverStarted: false, result: undefined, resultOfIndex: new Map() };
        return [[job.metadata.name, { running, terminating, ...silent }] as const];
      }),
    );
    return aSnapshot({
      ...rest,
      claims,
      pods,
      inbox: inbox.map((message) => anInboxMessage(message)),
      revisions: images.map((image, index) => aRevision(aQueue({ image }), index + 1)),
    });
  });

/** The received messages that an action deals with. */
function messagesOf(action: Action): readonly string[] {
  if ('message' in action) return [action.message.id];
  return 'messages' in action ? action.messages.map(({ id }) => id) : [];
}

/** Who an action is about: the same action again has the same text. */
function subjectOf(action: Action): string {
  switch (action.kind) {
    case 'claim':
    case 'rerun':
      return `${action.kind} ${action.job.metadata.name}`;
    case 'adopt':
    case 'settle':
    case 'stopPods':
    case 'endStuckJob':
    case 'markNeverStarted':
    case 'deleteJob':
      return `${action.kind} ${action.claim.job.metadata.name}`;
    case 'discard':
    case 'forget':
      return `${action.kind} ${action.message.id}`;
    case 'release':
      return `${action.kind} ${action.messages.map(({ id }) => id).join(' ')}`;
    case 'readStartEvents':
      return `${action.kind} ${action.about.uid}`;
    case 'renumberRevision':
    case 'deleteRevision':
    case 'keepImages':
      return `${action.kind} ${action.revision.hash}`;
    case 'createRevision':
    case 'checkTemplate':
    case 'listJobs':
    case 'sweepPayloads':
      return action.kind;
  }
}

function carriedOut(before: Snapshot, actions: readonly Action[]): Snapshot {
  return actions.reduce(applied, before);
}

/** The snapshot without the order of its lists, and Jobs without what the server makes up. */
function normal({ claims, inbox, revisions, pods, ...rest }: Snapshot) {
  return {
    ...rest,
    claims: Object.fromEntries(claims.map((claim) => [claim.job.metadata.name, claim])),
    inbox: Object.fromEntries(inbox.map((message) => [message.id, message])),
    revisions: Object.fromEntries(revisions.map((revision) => [revision.hash, revision])),
    pods: Object.fromEntries(pods),
  };
}

describe('for every snapshot', () => {
  test('planning changes nothing and gives the same answer twice', () => {
    fc.assert(
      fc.property(snapshot, (before) => {
        const copy = structuredClone(before);
        expect(plan(before)).toEqual(plan(before));
        expect(before).toEqual(copy);
      }),
    );
  });

  test('no action comes twice, and carrying out plan after plan soon ends with nothing left to do', () => {
    fc.assert(
      fc.property(snapshot, (start) => {
        const done: string[] = [];
        let now = start;
        let rounds = 0;
        for (let { actions } = plan(now); actions.length > 0; { actions } = plan(now)) {
          done.push(...actions.map(subjectOf));
          now = carriedOut(now, actions);
          rounds += 1;
          // A new revision, its check, the claims that waited for it, and tidying up when nothing else is to do.
          expect(rounds).toBeLessThanOrEqual(4);
        }
        expect(done).toEqual([...new Set(done)]);
      }),
    );
  });

  test('the actions of a plan may be carried out in any order', () => {
    fc.assert(
      fc.property(snapshot, fc.infiniteStream(fc.nat()), (before, random) => {
        const { actions } = plan(before);
        const shuffled = actions
          .map((action) => ({ action, at: Number(random.next().value) }))
          .toSorted((a, b) => a.at - b.at)
          .map(({ action }) => action);
        expect(normal(carriedOut(before, shuffled))).toEqual(normal(carriedOut(before, actions)));
      }),
    );
  });

  test('no message is both claimed and anything else, and no Job is both settled and stopped', () => {
    fc.assert(
      fc.property(snapshot, (before) => {
        const { actions } = plan(before);
        const messages = actions.flatMap(messagesOf);
        const jobs = actions.flatMap((action) =>
          action.kind === 'settle' || action.kind === 'stopPods' || action.kind === 'deleteJob'
            ? [action.claim.job.metadata.name]
            : [],
        );
        expect(messages).toEqual([...new Set(messages)]);
        expect(jobs).toEqual([...new Set(jobs)]);
      }),
    );
  });

  test('a plan does not depend on the order in which the world was listed', () => {
    fc.assert(
      fc.property(snapshot, (before) => {
        const reversed = {
          ...before,
          claims: before.claims.toReversed(),
          inbox: before.inbox.toReversed(),
          revisions: before.revisions.toReversed(),
        };
        const subjects = plan(before).actions.map(subjectOf).toSorted();
        expect(plan(reversed).actions.map(subjectOf).toSorted()).toEqual(subjects);
      }),
    );
  });
});
