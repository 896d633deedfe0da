import { describe, expect, test } from '@jest/globals';
import { claimFrom } from '../../../operator/plan/claim.ts';
import type { Claim } from '../../../operator/plan/job-facts.ts';
import type { JobStart } from '../../../operator/plan/job-start.ts';
import { planEventReads } from '../../../operator/plan/start-events.ts';
import type { StartEvents } from '../../../operator/plan/start-facts.ts';
import { planStuckJobs } from '../../../operator/plan/stuck-jobs.ts';
import { aClaim, aJob, aQueue, aRevision, type ClaimParts, NOW_MS } from '../../support/builders.ts';

const CURRENT = aRevision(aQueue({ image: 'worker:2' }), 2);
const TROUBLE: JobStart = {
  kind: 'trouble',
  trouble: { reason: 'ImagePullFailing', message: 'not found', fault: 'template' },
  unexplained: undefined,
};
const NO_ROOM: JobStart = {
  kind: 'trouble',
  trouble: { reason: 'Unschedulable', message: 'no room', fault: 'capacity' },
  unexplained: undefined,
};
const about = (uid: string) => ({ kind: 'Job' as const, name: `orders-${uid}`, uid });
const unexplained = (uid = 'u'): JobStart => ({
  kind: 'starting',
  lookAgainAtMs: undefined,
  unexplained: about(uid),
});
const STARTING: JobStart = { kind: 'starting', lookAgainAtMs: NOW_MS + 1, unexplained: undefined };
const STARTED: JobStart = { kind: 'started', atMs: NOW_MS };

const MARK = { 'batchqueue.io/never-started': 'ImagePullFailing' };

/** A Job with this `activeDeadlineSeconds`. */
function withDeadline(activeDeadlineSeconds: number, parts: ClaimParts): Claim {
  const job = aJob(parts);
  return claimFrom({ ...job, spec: { ...Object(job['spec']), activeDeadlineSeconds } });
}

const planned = (claim: Claim, start: JobStart, current: typeof CURRENT | undefined = CURRENT) =>
  planStuckJobs([claim], new Map([[claim.job.metadata.name, start]]), current);

describe('a Job of an older revision', () => {
  test.each<[string, JobStart, string]>([
    ['that cannot start', TROUBLE, 'ImagePullFailing'],
    ['that finds no room', NO_ROOM, 'Unschedulable'],
    ['that takes long and nobody knows why', unexplained(), 'NotStarted'],
  ])('%s is ended for a new run', (_, start, reason) => {
    const claim = aClaim({ revision: 1 });
    expect(planned(claim, start)).toEqual([{ kind: 'endStuckJob', claim, reason }]);
  });

  test.each<[string, ClaimParts, JobStart]>([
    ['that is starting', {}, STARTING],
    ['that has started', {}, STARTED],
    ['that runs', { running: true }, TROUBLE],
    ['that has ended', { outcome: 'failed' }, TROUBLE],
    ['that somebody deletes', { deleting: true }, TROUBLE],
    ['that is the current one', { revision: 2 }, TROUBLE],
  ])('%s is left alone', (_, parts, start) => {
    expect(planned(aClaim({ revision: 1, ...parts }), start)).toEqual([]);
  });

  test('is left alone until the API server takes Jobs of the current one', () => {
    const claim = aClaim({ revision: 1 });
    expect(planStuckJobs([claim], new Map([[claim.job.metadata.name, TROUBLE]]), undefined)).toEqual([]);
  });

  test('is ended once, also when it was marked before', () => {
    const marked = withDeadline(3_600, { revision: 1, annotations: MARK });
    expect(planned(marked, TROUBLE)).toMatchObject([{ kind: 'endStuckJob' }]);
    expect(planned(withDeadline(1, { revision: 1, annotations: MARK }), TROUBLE)).toEqual([]);
  });
});

describe('a Job of the current revision', () => {
  test('that cannot start before its deadline is marked, once', () => {
    const claim = withDeadline(3_600, { revision: 2 });
    expect(planned(claim, TROUBLE)).toEqual([
      { kind: 'markNeverStarted', claim, reason: 'ImagePullFailing' },
    ]);
    expect(planned(withDeadline(3_600, { revision: 2, annotations: MARK }), TROUBLE)).toEqual([]);
  });

  test('is not marked without a deadline, nor while nothing is wrong', () => {
    expect(planned(aClaim({ revision: 2 }), TROUBLE)).toEqual([]);
    expect(planned(withDeadline(3_600, { revision: 2 }), STARTING)).toEqual([]);
  });

  test.each<[string, ClaimParts, JobStart]>([
    ['whose worker has started', {}, STARTED],
    ['that runs, whatever is known of its pods', { running: true }, TROUBLE],
  ])('%s counts like any other again', (_, parts, start) => {
    const claim = withDeadline(3_600, { revision: 2, annotations: MARK, ...parts });
    expect(planned(claim, start)).toEqual([{ kind: 'markNeverStarted', claim, reason: undefined }]);
    expect(planned(withDeadline(3_600, { revision: 2, ...parts }), start)).toEqual([]);
  });
});

describe('events', () => {
  const claims = ['a', 'b', 'c'].map((name) => aClaim({ name: `orders-${name}` }));
  const starts = new Map(
    claims.map(({ job: { metadata } }) => [metadata.name, unexplained(metadata.name.slice(-1))]),
  );
  const readAt = (...entries: [string, number][]): Map<string, StartEvents> =>
    new Map(entries.map(([uid, readAtMs]) => [uid, { readAtMs, events: [] }]));
  const reads = (events: Map<string, StartEvents>, nowMs = NOW_MS) =>
    planEventReads(claims, starts, { nowMs, events });

  test('are read about two Jobs at most, the oldest', () => {
    expect(reads(new Map())).toEqual({
      actions: [
        { kind: 'readStartEvents', about: about('a') },
        { kind: 'readStartEvents', about: about('b') },
      ],
      lookAgainAtMs: undefined,
    });
  });

  test('are not read again before half a minute has passed', () => {
    const events = readAt(['a', NOW_MS], ['b', NOW_MS]);
    expect(reads(events, NOW_MS + 29_999)).toEqual({ actions: [], lookAgainAtMs: NOW_MS + 30_000 });
    expect(reads(events, NOW_MS + 30_000).actions).toHaveLength(2);
  });

  test('are read more rarely the longer it takes, but every five minutes', () => {
    const hourMs = 3_600_000;
    const events = readAt(['a', NOW_MS + hourMs], ['b', NOW_MS + hourMs]);
    expect(reads(events, NOW_MS + hourMs)).toEqual({ actions: [], lookAgainAtMs: NOW_MS + hourMs + 300_000 });
  });

  test('are of no interest about Jobs that start or say by themselves what is wrong', () => {
    const known = new Map(
      claims.map(({ job }, index) => [job.metadata.name, [STARTING, STARTED, TROUBLE][index] ?? STARTED]),
    );
    expect(planEventReads(claims, known, { nowMs: NOW_MS, events: new Map() })).toEqual({
      actions: [],
      lookAgainAtMs: undefined,
    });
  });
});
