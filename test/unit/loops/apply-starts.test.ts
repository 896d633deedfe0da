import { beforeEach, describe, expect, test } from '@jest/globals';
import { ANNOTATION_NEVER_STARTED } from '../../../operator/api/names.ts';
import { claimFrom } from '../../../operator/plan/claim.ts';
import type { EventSubject } from '../../../operator/plan/start-facts.ts';
import { EVENTS, JOBS } from '../../../operator/world.ts';
import { kubeFailure } from '../../simulation/kubernetes/failures.ts';
import { aMessage } from '../../support/builders.ts';
import { ApplyStage, codeOf, jobFor } from './apply-stage.ts';

let stage: ApplyStage;

beforeEach(() => {
  stage = new ApplyStage();
});

describe('ending a Job that never started', () => {
  const reason = 'ImagePullFailing';

  test('gives it a deadline that has passed, and says on it that no worker was to blame', async () => {
    const claim = stage.existing(jobFor(aMessage()));
    const { name } = claim.job.metadata;
    await stage.apply({ kind: 'endStuckJob', claim, reason });
    expect(stage.steps).toEqual(['patch']);
    expect(stage.stored(name)).toMatchObject({
      metadata: { annotations: { ...claim.job.metadata.annotations, [ANNOTATION_NEVER_STARTED]: reason } },
      spec: { activeDeadlineSeconds: 1 },
    });
    expect(stage.world.caches.jobs.get('shop', name)).toEqual(stage.stored(name));
    expect(stage.told).toMatchObject([{ reason: 'JobReplaced', note: expect.stringContaining(reason) }]);
  });

  test('is not done when its pod has started in the meantime', async () => {
    const claim = stage.existing(jobFor(aMessage()));
    const { name } = claim.job.metadata;
    stage.kube.update({ resource: JOBS, namespace: 'shop', name: name }, (job) => {
      job['status'] = { ready: 1 };
    });
    expect(await codeOf(stage.apply({ kind: 'endStuckJob', claim, reason }))).toBe('Conflict');
    expect(stage.stored(name)?.metadata.annotations?.[ANNOTATION_NEVER_STARTED]).toBeUndefined();
    expect(stage.told).toEqual([]);
  });

  test('of which nothing is left is done', async () => {
    const claim = stage.existing(jobFor(aMessage()));
    stage.faults.push({ verb: 'patch', error: kubeFailure('NotFound', 'terminal'), carriedOut: false });
    await stage.apply({ kind: 'endStuckJob', claim, reason });
    expect(stage.world.caches.jobs.list()).toEqual([]);
    expect(stage.told).toEqual([]);
  });
});

describe('marking a Job that has not started', () => {
  test('says so on it and changes nothing else, and takes it back', async () => {
    const claim = stage.existing(jobFor(aMessage()));
    const { name } = claim.job.metadata;
    await stage.apply({ kind: 'markNeverStarted', claim, reason: 'Unschedulable' });
    const marked = stage.stored(name);
    expect(marked?.metadata.annotations?.[ANNOTATION_NEVER_STARTED]).toBe('Unschedulable');
    expect(marked?.['spec']).toEqual(claim.job['spec']);
    if (marked) await stage.apply({ kind: 'markNeverStarted', claim: claimFrom(marked), reason: undefined });
    expect(stage.stored(name)?.metadata.annotations).toEqual(claim.job.metadata.annotations);
    expect(stage.told).toEqual([]);
  });
});

describe('reading events', () => {
  const about: EventSubject = { kind: 'Job', name: 'orders-a', uid: 'job-uid' };
  const seen = '2026-11-27T02:57:35Z';

  function told(name: string, fields: object): void {
    const event = {
      reason: 'FailedCreate',
      note: name,
      type: 'Warning',
      regarding: { uid: about.uid },
      ...fields,
    };
    stage.kube.create(EVENTS, 'shop', { metadata: { name }, ...event });
  }

  test('keeps the warnings about this object, with the time they were last told, wherever it stands', async () => {
    told('old field', { deprecatedLastTimestamp: seen });
    told('series', { eventTime: '2026-11-27T02:00:00.5Z', series: { count: 2, lastObservedTime: seen } });
    told('once', { eventTime: seen });
    told('of another', { regarding: { uid: 'other' }, eventTime: seen });
    told('good news', { type: 'Normal', eventTime: seen });
    await stage.apply({ kind: 'readStartEvents', about });
    const { startEvents } = stage.subject.session;
    expect(startEvents.get(about.uid)?.readAtMs).toBe(stage.clock.now());
    expect(startEvents.get(about.uid)?.events).toEqual(
      ['old field', 'series', 'once'].map((note) => ({
        reason: 'FailedCreate',
        note,
        lastSeenMs: Date.parse(seen),
      })),
    );
  });

  test('that fails is no failure of the turn, and is as if there were none', async () => {
    stage.faults.push({ verb: 'list', error: kubeFailure('Forbidden', 'terminal'), carriedOut: false });
    await stage.apply({ kind: 'readStartEvents', about });
    expect(stage.subject.session.startEvents.get(about.uid)).toEqual({
      readAtMs: stage.clock.now(),
      events: [],
    });
  });

  test('forgets what was read half an hour ago', async () => {
    await stage.apply({ kind: 'readStartEvents', about });
    await stage.clock.advance(1_800_001);
    await stage.apply({ kind: 'readStartEvents', about: { ...about, uid: 'next' } });
    expect([...stage.subject.session.startEvents.keys()]).toEqual(['next']);
  });
});
