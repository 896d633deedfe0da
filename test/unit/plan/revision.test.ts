import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import type { BatchQueue, BatchQueueStatus } from '../../../operator/api/batch-queue.ts';
import type { Claim } from '../../../operator/plan/job-facts.ts';
import {
  currentRevision,
  hashTemplate,
  latestRevision,
  missingPin,
  planRevisions,
  revisionFrom,
  templateOf,
} from '../../../operator/plan/revision.ts';
import type { Revision } from '../../../operator/plan/revision-facts.ts';
import { aClaim, aQueue, aRevision, NOW_MS } from '../../support/builders.ts';

function imaged(image: string, parts: Parameters<typeof aQueue>[0] = {}): BatchQueue {
  return aQueue({ image, ...parts });
}

/** Revisions 1..n of templates that differ in their image. */
function history(...images: string[]): Revision[] {
  return images.map((image, index) => aRevision(imaged(image), index + 1));
}

interface Seen {
  readonly revisions?: readonly Revision[];
  readonly claims?: readonly Claim[];
  readonly status?: BatchQueueStatus;
}

describe('planRevisions', () => {
  test('makes the first revision of a new BatchQueue', () => {
    const queue = aQueue();
    expect(planRevisions(queue, [], [])).toEqual([
      {
        kind: 'createRevision',
        object: {
          apiVersion: 'apps/v1',
          kind: 'ControllerRevision',
          metadata: {
            name: `orders-${hashTemplate(templateOf(queue))}`,
            namespace: 'shop',
            labels: { 'batchqueue.io/queue': 'orders' },
            ownerReferences: [expect.objectContaining({ uid: 'queue-uid', controller: true })],
          },
          data: { template: templateOf(queue) },
          revision: 1,
        },
      },
    ]);
  });

  test('does nothing for the template that is current', () => {
    expect(planRevisions(imaged('b'), history('a', 'b'), [])).toEqual([]);
  });

  test('gives a template that comes back its old object under the next number', () => {
    const revisions = history('a', 'b', 'c');
    expect(planRevisions(imaged('a'), revisions, [])).toEqual([
      { kind: 'renumberRevision', revision: revisions[0], number: 4 },
    ]);
  });

  test.each([
    ['revisions', { revisions: history('a', 'b') }, 3],
    ['Jobs, when the revisions were deleted', { claims: [aClaim({ revision: 7 })] }, 8],
    ['the status, when both are gone', { status: { revision: { current: 11 } } }, 12],
    ['the status of a pinned one', { status: { revision: { current: 2, latest: 11 } } }, 12],
  ])('has numbers that only grow: above those of %s', (_, seen: Seen, number) => {
    const queue = imaged('new', seen.status ? { status: seen.status } : {});
    expect(planRevisions(queue, seen.revisions ?? [], seen.claims ?? [])).toMatchObject([
      { kind: 'createRevision', object: { revision: number } },
    ]);
  });

  test.each([
    ['maxConcurrentJobs', { maxConcurrentJobs: 3 }],
    ['suspend', { suspend: true }],
    ['retry', { retry: { minBackoffSeconds: 1 } }],
    ['history limits', { successfulJobsHistoryLimit: 0, failedJobsHistoryLimit: 0, revisionHistoryLimit: 1 }],
    ['the queue', { queue: { url: 'https://sqs.us-east-1.amazonaws.com/123456789012/other' } }],
  ])('makes none when %s changes', (_, spec) => {
    expect(planRevisions(aQueue({ spec }), [aRevision()], [])).toEqual([]);
  });

  test.each([
    ['serviceAccountName', { serviceAccountName: 'ecr-sa' }],
    ['storage', { storage: { claimName: 'c', mountPath: '/efs' } }],
    ['imagePullSecret', { imagePullSecret: { name: 'regcred' } }],
  ])('makes one when %s changes', (_, spec) => {
    expect(planRevisions(aQueue({ spec }), [aRevision()], [])).toMatchObject([{ kind: 'createRevision' }]);
  });

  test('makes none when a revision is pinned', () => {
    expect(planRevisions(imaged('b', { spec: { revision: 1 } }), history('a', 'b'), [])).toEqual([]);
  });

  test('makes one of a template that is edited while another is pinned', () => {
    const queue = imaged('c', { spec: { revision: 1 } });
    expect(planRevisions(queue, history('a', 'b'), [])).toMatchObject([
      { kind: 'createRevision', object: { revision: 3 } },
    ]);
  });

  test('leaves its number to a pinned one whose template comes back, and gives it the next one afterwards', () => {
    const revisions = history('a', 'b');
    expect(planRevisions(imaged('a', { spec: { revision: 1 } }), revisions, [])).toEqual([]);
    expect(planRevisions(imaged('a'), revisions, [])).toEqual([
      { kind: 'renumberRevision', revision: revisions[0], number: 3 },
    ]);
  });

  test('makes none for a BatchQueue that is being deleted', () => {
    const queue = aQueue({ metadata: { deletionTimestamp: new Date(NOW_MS).toISOString() } });
    expect(planRevisions(queue, [], [])).toEqual([]);
  });

  const pruned = (limit: number, inUse: readonly number[], pinned?: number) => {
    const queue = imaged('e', {
      spec: { revisionHistoryLimit: limit, ...(pinned !== undefined && { revision: pinned }) },
    });
    const claims = inUse.map((revision) => aClaim({ revision, name: `job-${revision}` }));
    return planRevisions(queue, history('a', 'b', 'c', 'd', 'e').toReversed(), claims).map((action) =>
      action.kind === 'deleteRevision' ? action.revision.number : action.kind,
    );
  };

  test.each([
    ['nothing within the limit', 4, [], []],
    ['the oldest beyond it', 2, [], [1, 2]],
    ['all but the current one with a limit of nothing', 0, [], [1, 2, 3, 4]],
    ['none that a Job runs, which does not count against the limit', 1, [1, 3], [2]],
  ])('prunes %s', (_, limit, inUse, expected) => {
    expect(pruned(limit, inUse)).toEqual(expected);
  });

  test('prunes neither the pinned one nor the latest, and counts neither against the limit', () => {
    expect(pruned(0, [], 2)).toEqual([1, 3, 4]);
    expect(pruned(1, [], 2)).toEqual([1, 3]);
  });
});

describe('currentRevision', () => {
  test('is the newest one when it equals the spec', () => {
    const revisions = history('a', 'b');
    expect(currentRevision(imaged('b'), revisions.toReversed())).toBe(revisions[1]);
  });

  test('is not an older one that equals the spec: it has to be renumbered first', () => {
    expect(currentRevision(imaged('a'), history('a', 'b'))).toBeUndefined();
  });

  test('is the pinned one, whatever the spec says besides', () => {
    const revisions = history('a', 'b');
    const queue = imaged('new', { spec: { revision: 1 } });
    expect(currentRevision(queue, revisions)).toBe(revisions[0]);
    expect(latestRevision(queue, revisions)).toBeUndefined();
    expect(latestRevision(imaged('b', { spec: { revision: 1 } }), revisions)).toBe(revisions[1]);
    expect(latestRevision(imaged('a', { spec: { revision: 1 } }), revisions)).toBe(revisions[0]);
  });

  test('is none when the pinned one is not kept, which is told with those that are', () => {
    const queue = imaged('b', { spec: { revision: 7 } });
    expect(currentRevision(queue, history('a', 'b'))).toBeUndefined();
    const { reason, message } = missingPin(queue, history('a', 'b').toReversed()) ?? {};
    expect(reason).toBe('RevisionNotFound');
    expect(message).toContain('spec.revision is 7, and no such revision is kept: there are 1, 2.');
  });

  test('is not missed of a new BatchQueue, nor where none is pinned', () => {
    expect(missingPin(imaged('a', { spec: { revision: 1 } }), [])).toBeUndefined();
    expect(missingPin(imaged('a', { spec: { revision: 1 } }), history('a'))).toBeUndefined();
    expect(missingPin(imaged('b'), history('a'))).toBeUndefined();
  });
});

describe('a template', () => {
  const template = fc.json({ maxDepth: 3 }).map((text): unknown => JSON.parse(text));

  /** The same JSON with every object's keys in another order. */
  function shuffled(value: unknown): unknown {
    if (Array.isArray(value)) return value.map(shuffled);
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value)
        .toReversed()
        .map(([key, field]): [string, unknown] => [key, shuffled(field)]),
    );
  }

  function withExtra(extra: unknown): BatchQueue {
    return aQueue({ pod: { containers: [{ name: 'worker', image: 'w', extra }] } });
  }

  test('has the same hash whatever the order of its keys', () => {
    fc.assert(
      fc.property(template, (extra) => {
        expect(hashTemplate(templateOf(withExtra(shuffled(extra))))).toBe(
          hashTemplate(templateOf(withExtra(extra))),
        );
      }),
    );
  });

  test('has another hash when the order of a list changes', () => {
    const first = hashTemplate(templateOf(withExtra(['a', 'b'])));
    expect(hashTemplate(templateOf(withExtra(['b', 'a'])))).not.toBe(first);
  });

  test('is read back from its ControllerRevision as itself, so that a new revision is current at once', () => {
    fc.assert(
      fc.property(template, (extra) => {
        const queue = withExtra(extra);
        const [action] = planRevisions(queue, [], []);
        if (action?.kind !== 'createRevision') throw new Error('no revision was made');
        const stored = revisionFrom(JSON.parse(JSON.stringify(action.object)));
        expect(stored && currentRevision(queue, [stored])).toBe(stored);
      }),
    );
  });

  // A release that changes this value makes a new revision for every BatchQueue of its predecessor.
  test('keeps its hash from release to release', () => {
    expect(hashTemplate(templateOf(aQueue()))).toBe('79hs0j540h');
  });
});

test.each([
  ['that is not a revision', { metadata: { name: 'a' } }],
  ['without a template', { metadata: { name: 'a' }, revision: 1, data: {} }],
  ['with a number that is none', { ...aRevision().object, revision: '1' }],
])('an object %s is none of ours', (_, object) => {
  expect(revisionFrom(object)).toBeUndefined();
});
