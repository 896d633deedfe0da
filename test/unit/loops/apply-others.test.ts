import { beforeEach, describe, expect, test } from '@jest/globals';
import { claimFrom } from '../../../operator/plan/claim.ts';
import type { Action } from '../../../operator/plan/plan.ts';
import { JOBS, PODS, REVISIONS } from '../../../operator/world.ts';
import { kubeFailure } from '../../simulation/kubernetes/failures.ts';
import { sqsFailure } from '../../simulation/sqs/failures.ts';
import { aMessage, aRevision, QUEUE } from '../../support/builders.ts';
import { ApplyStage, codeOf, jobFor } from './apply-stage.ts';

const KEY = 'shop/orders';

let stage: ApplyStage;

beforeEach(() => {
  stage = new ApplyStage();
});

describe('a message that gets no Job', () => {
  test.each([
    ['discard', { what: 'delete' }],
    ['release', { what: 'release', seconds: 7 }],
  ] as const)('%s: withdrawn, settled, and out of the inbox', async (kind, expected) => {
    const message = { trustedUntilMs: 0, ...(await stage.received()) };
    await stage.apply(
      kind === 'discard'
        ? { kind, message }
        : { kind, messages: [message], delaySeconds: 7, reason: 'PayloadTooLarge' },
    );
    expect(stage.queue.settlements).toMatchObject([expected]);
    expect(stage.world.heartbeat.trustedUntil(QUEUE, message.id)).toBe(0);
    expect(stage.subject.session.intake.inbox()).toEqual([]);
  });

  test('stays in the inbox when SQS does not answer', async () => {
    const message = { trustedUntilMs: 0, ...(await stage.received()) };
    stage.queue.settleAnswer = () => Promise.reject(sqsFailure('QueueUnreachable', 'retry'));
    expect(await codeOf(stage.apply({ kind: 'discard', message }))).toBe('QueueUnreachable');
    expect(stage.subject.session.intake.inbox()).toHaveLength(1);
  });

  test('forget asks nobody', async () => {
    const message = { trustedUntilMs: 0, ...(await stage.received()) };
    await stage.apply({ kind: 'forget', message });
    expect([stage.queue.settlements, stage.steps, stage.subject.session.intake.inbox()]).toEqual([
      [],
      [],
      [],
    ]);
  });
});

describe('cleaning up', () => {
  test('ends the pods of a Job that are not ending yet, and of no other Job', async () => {
    const claim = stage.existing(jobFor(aMessage()));
    const pod = (name: string, uid = '') => ({
      metadata: { name, labels: { 'batch.kubernetes.io/controller-uid': uid }, finalizers: ['kubelet'] },
    });
    for (const name of ['runs', 'ending']) stage.kube.create(PODS, 'shop', pod(name, claim.job.metadata.uid));
    stage.kube.create(PODS, 'shop', pod('other', 'other'));
    stage.kube.delete(PODS, 'shop', 'ending');
    await stage.apply({ kind: 'stopPods', claim });
    const ending = stage.kube
      .list(PODS)
      .items.filter(({ metadata }) => metadata.deletionTimestamp !== undefined);
    expect(ending.map(({ metadata }) => metadata.name)).toEqual(['runs', 'ending']);
    expect(stage.steps).toEqual(['list', 'delete']);
  });

  test('deletes a Job only as it was observed', async () => {
    const job = jobFor(aMessage());
    delete job.metadata.finalizers;
    const claim = stage.existing(job);
    stage.kube.update({ resource: JOBS, namespace: 'shop', name: job.metadata.name }, (now) => {
      now['status'] = { ready: 1 };
    });
    expect(await codeOf(stage.apply({ kind: 'deleteJob', claim }))).toBe('Conflict');
    await stage.apply({ kind: 'deleteJob', claim: claimFrom(stage.stored(job.metadata.name) ?? job) });
    expect(stage.stored(job.metadata.name)).toBeUndefined();
    expect(stage.world.caches.jobs.list()).toEqual([]);
  });
});

describe('revisions', () => {
  const object = () => ({
    ...aRevision().object,
    metadata: { ...aRevision().object.metadata, labels: { 'batchqueue.io/queue': 'orders' } },
  });

  test('are created, cached and told', async () => {
    await stage.apply({ kind: 'createRevision', object: object() });
    expect(stage.world.caches.revisions.byIndex(KEY)).toHaveLength(1);
    expect(stage.told.map(({ reason }) => reason)).toEqual(['RevisionCreated']);
  });

  test('of ours that exist already are taken as they are', async () => {
    const first = stage.kube.create(REVISIONS, 'shop', object());
    await stage.apply({ kind: 'createRevision', object: object() });
    expect(stage.world.caches.revisions.list()).toEqual([first]);
  });

  test.each([
    ['of another owner', { ownerReferences: [{ apiVersion: 'v1', kind: 'X', name: 'x', uid: 'other' }] }],
    ['without an owner that are being deleted', { ownerReferences: [], finalizers: ['slow'] }],
  ])('%s are waited for', async (_, metadata) => {
    const other = object();
    stage.kube.create(REVISIONS, 'shop', { ...other, metadata: { ...other.metadata, ...metadata } });
    if (metadata.ownerReferences.length === 0) stage.kube.delete(REVISIONS, 'shop', other.metadata.name);
    expect(await codeOf(stage.apply({ kind: 'createRevision', object: object() }))).toBe('AlreadyExists');
    expect(stage.steps).not.toContain('patch');
  });

  test('without an owner become ours, under the higher number', async () => {
    const orphan = object();
    stage.kube.create(REVISIONS, 'shop', {
      ...orphan,
      revision: 9,
      metadata: { ...orphan.metadata, ownerReferences: [] },
    });
    await stage.apply({ kind: 'createRevision', object: object() });
    expect(stage.world.caches.revisions.list()).toMatchObject([
      { revision: 9, metadata: { ownerReferences: [{ uid: 'queue-uid' }] } },
    ]);
  });

  test('are renumbered and deleted only as they were observed', async () => {
    const created = stage.kube.create(REVISIONS, 'shop', object());
    const revision = { ...aRevision(), object: created };
    await stage.apply({ kind: 'renumberRevision', revision, number: 4 });
    expect(stage.world.caches.revisions.list()).toMatchObject([{ revision: 4 }]);
    expect(await codeOf(stage.apply({ kind: 'renumberRevision', revision, number: 5 }))).toBe('Conflict');
    await stage.apply({ kind: 'deleteRevision', revision });
    expect(stage.kube.list(REVISIONS).items).toEqual([]);
  });
});

describe('the template check', () => {
  const check: Action = { kind: 'checkTemplate', hash: 'h', job: jobFor(aMessage()) };

  test('creates nothing', async () => {
    await stage.apply(check);
    expect(stage.kube.list(JOBS).items).toEqual([]);
    expect(stage.subject.session.templateChecks.get('h')).toEqual({ kind: 'valid' });
  });

  test("keeps the server's words, for a while", async () => {
    stage.faults.push({ verb: 'create', error: kubeFailure('Invalid', 'terminal'), carriedOut: false });
    await stage.apply(check);
    expect(stage.subject.session.templateChecks.get('h')).toEqual({
      kind: 'invalid',
      message: 'kube: Invalid',
      recheckAtMs: stage.clock.now() + 30_000,
    });
  });

  test('that could not be made says nothing about the template', async () => {
    stage.faults.push({ verb: 'create', error: kubeFailure('Unavailable', 'retry'), carriedOut: false });
    expect(await codeOf(stage.apply(check))).toBe('Unavailable');
    expect(stage.subject.session.templateChecks.size).toBe(0);
  });
});
