import { beforeEach, describe, expect, test } from '@jest/globals';
import { ANNOTATION_LEDGER, FINALIZER_SETTLEMENT } from '../../../operator/api/names.ts';
import { claimFrom } from '../../../operator/plan/claim.ts';
import { NO_REFUSALS } from '../../../operator/plan/creation-refusal.ts';
import type { Claim } from '../../../operator/plan/job-facts.ts';
import { parseLedger } from '../../../operator/plan/ledger.ts';
import type { Message } from '../../../operator/plan/message.ts';
import type { Action, Settle, Verdict } from '../../../operator/plan/plan.ts';
import type { KubeObject } from '../../../operator/ports.ts';
import { JOBS } from '../../../operator/world.ts';
import { kubeFailure } from '../../simulation/kubernetes/failures.ts';
import { sqsFailure } from '../../simulation/sqs/failures.ts';
import { aMessage, MESSAGE_ID, QUEUE } from '../../support/builders.ts';
import { done } from '../../support/stub-queue.ts';
import { ApplyStage, codeOf, jobFor } from './apply-stage.ts';

const KEY = 'shop/orders';

let stage: ApplyStage;

beforeEach(() => {
  stage = new ApplyStage();
});

function claimAction(message: Message, job = jobFor(message)): Action {
  return { kind: 'claim', messages: [{ trustedUntilMs: 0, ...message }], job, secrets: [] };
}

interface SettleParts extends Partial<Settle> {
  readonly does?: Verdict['does'];
  readonly delaySeconds?: number;
}

function settleAction(
  claim: Claim,
  { does = 'delete', delaySeconds = 0, ...parts }: SettleParts = {},
): Settle {
  return {
    kind: 'settle',
    claim,
    queue: claim.ledger?.queue,
    verdicts: claim.held.map((message) => ({ message, does, delaySeconds })),
    final: true,
    note: undefined,
    deadLetterArn: undefined,
    result: undefined,
    ...parts,
  };
}

describe('claim', () => {
  test('creates the Job, takes the message out of the inbox and tells', async () => {
    const message = await stage.received();
    const job = jobFor(message);
    await stage.apply(claimAction(message, job));
    expect(stage.stored(job.metadata.name)).toMatchObject({
      metadata: { finalizers: [FINALIZER_SETTLEMENT] },
    });
    expect(stage.world.caches.jobs.get('shop', job.metadata.name)).toBeDefined();
    expect(stage.subject.session.intake.inbox()).toEqual([]);
    expect(stage.told.map(({ reason }) => reason)).toEqual(['JobCreated']);
  });

  test('sends nothing when the lease does not outlive the create', async () => {
    const message = await stage.received({ visibilityTimeoutSeconds: 5 });
    expect(await codeOf(stage.apply(claimAction(message)))).toBe('LeaseTooShort');
    expect(stage.steps).toEqual([]);
  });

  test('sends nothing for a message whose lease nobody keeps', async () => {
    expect(await codeOf(stage.apply(claimAction(aMessage())))).toBe('LeaseTooShort');
    expect(stage.steps).toEqual([]);
  });

  test.each([
    ['the same Job', 1],
    ['a Job of its message that somebody takes for another attempt', 2],
  ])('meets %s under its name: it is taken into the cache, for the next plan', async (_, attempt) => {
    const message = await stage.received({ receiveCount: 2 });
    const job = jobFor(message);
    const met = jobFor(aMessage({ receiveCount: 1 }), attempt);
    stage.kube.create(JOBS, 'shop', { ...met, metadata: { ...met.metadata, name: job.metadata.name } });
    await stage.apply(claimAction(message, job));
    expect(stage.steps).toEqual(['create', 'get']);
    expect(stage.world.caches.jobs.byIndex(KEY).map(({ metadata }) => metadata.name)).toEqual([
      job.metadata.name,
    ]);
    expect(stage.subject.session.intake.inbox()).toHaveLength(1);
    expect(stage.subject.session.creations()).toEqual(NO_REFUSALS);
  });

  const strangers: [string, KubeObject | undefined][] = [
    ['without a ledger', undefined],
    ['of another message', jobFor(aMessage({ id: 'other' }))],
    ['of another queue', jobFor(aMessage({ queue: { ...QUEUE, url: 'https://other', arn: 'other' } }))],
    ['with the label of another BatchQueue', relabelled(jobFor(aMessage()), 'other')],
  ];
  test.each(strangers)('leaves a Job of that name %s alone and says so', async (_, stranger) => {
    const message = await stage.received();
    const job = jobFor(message);
    const { name } = job.metadata;
    const foreign = stage.kube.create(JOBS, 'shop', {
      ...stranger,
      metadata: { ...stranger?.metadata, name },
    });
    await stage.apply(claimAction(message, job));
    expect(stage.subject.session.creations().byJob.get(name)).toMatchObject({ reason: 'JobNotCreated' });
    expect(stage.stored(job.metadata.name)).toEqual(foreign);
    expect(stage.world.caches.jobs.list()).toEqual([]);
    expect(stage.subject.session.intake.inbox()).toHaveLength(1);
  });

  test('whose answer is lost finds its Job by reading', async () => {
    const message = await stage.received();
    const job = jobFor(message);
    stage.faults.push({
      verb: 'create',
      error: kubeFailure('RequestTimeout', 'retry', { outcomeUnknown: true }),
      carriedOut: true,
    });
    await stage.apply(claimAction(message, job));
    expect(stage.steps).toEqual(['create', 'get']);
    expect(stage.world.caches.jobs.get('shop', job.metadata.name)).toBeDefined();
  });

  test('whose answer is lost and that was not carried out fails, and leaves the message to the next plan', async () => {
    const message = await stage.received();
    stage.faults.push({
      verb: 'create',
      error: kubeFailure('RequestTimeout', 'retry', { outcomeUnknown: true }),
      carriedOut: false,
    });
    expect(await codeOf(stage.apply(claimAction(message)))).toBe('RequestTimeout');
    expect(stage.subject.session.intake.inbox()).toHaveLength(1);
    expect(await codeOf(stage.apply(claimAction(message)))).toBe('done');
  });

  test('that is refused keeps its message, and is told as a problem until a create works', async () => {
    const message = await stage.received();
    stage.faults.push({ verb: 'create', error: kubeFailure('Forbidden', 'terminal'), carriedOut: false });
    await stage.apply(claimAction(message));
    expect(stage.subject.session.creations().general).toMatchObject({
      reason: 'AdmissionDenied',
      message: 'kube: Forbidden',
    });
    expect(stage.subject.session.intake.inbox()).toHaveLength(1);
    await stage.apply(claimAction(message));
    expect(stage.subject.session.creations()).toEqual(NO_REFUSALS);
  });
});

describe('adopt', () => {
  async function adoption(): Promise<Extract<Action, { kind: 'adopt' }>> {
    const claim = stage.existing(jobFor(aMessage({ receiveCount: 1 })));
    const message = await stage.received({ receiveCount: 2, receiptHandle: 'newest' });
    const { id, receiptHandle, receiveCount, sentAtMs, receivedAtMs } = message;
    if (!claim.ledger) throw new Error('no ledger');
    const ledger = {
      ...claim.ledger,
      messages: [{ id, receiptHandle, receiveCount, sentAtMs, receivedAtMs }],
    };
    return { kind: 'adopt', messages: [{ trustedUntilMs: 0, ...message }], claim, ledger };
  }

  test('stores the newest receipt handle, with the finalizer, and takes the message out of the inbox', async () => {
    const action = await adoption();
    stage.kube.update(
      { resource: JOBS, namespace: 'shop', name: action.claim.job.metadata.name },
      ({ metadata }) => {
        metadata.finalizers = ['other'];
      },
    );
    const claim = claimFrom(stage.kube.list(JOBS).items[0] ?? action.claim.job);
    await stage.apply({ ...action, claim });
    const job = stage.stored(claim.job.metadata.name);
    expect(job && parseLedger(job)).toEqual(action.ledger);
    expect(job?.metadata.finalizers).toEqual(['other', FINALIZER_SETTLEMENT]);
    expect(stage.subject.session.intake.inbox()).toEqual([]);
    expect(stage.told.map(({ reason }) => reason)).toEqual(['MessageAdopted']);
  });

  test('of a Job that has moved on conflicts, and the message stays for the next plan', async () => {
    const action = await adoption();
    stage.kube.update({ resource: JOBS, namespace: 'shop', name: action.claim.job.metadata.name }, (job) => {
      job['status'] = { ready: 1 };
    });
    expect(await codeOf(stage.apply(action))).toBe('Conflict');
    expect(stage.subject.session.intake.inbox()).toHaveLength(1);
  });
});

describe('settle', () => {
  test('tells SQS first and drops the finalizer then, in that order', async () => {
    const claim = stage.existing(jobFor(aMessage()));
    await stage.apply(settleAction(claim));
    expect(stage.steps).toEqual(['sqs', 'patch']);
    expect(stage.queue.settlements).toMatchObject([{ what: 'delete', ids: [MESSAGE_ID] }]);
    expect(stage.stored(claim.job.metadata.name)?.metadata.finalizers).toEqual([]);
    expect(stage.told.map(({ reason }) => reason)).toEqual(['JobSucceeded']);
  });

  test('tells what the worker of a succeeded Job had to say', async () => {
    const claim = stage.existing(jobFor(aMessage()));
    const { name } = claim.job.metadata;
    await stage.apply(
      settleAction(claim, { result: { exitCode: 0, reason: 'Completed', message: 'rowsIn 3, rowsOut 2' } }),
    );
    expect(stage.told).toMatchObject([
      { note: `Job ${name} succeeded: rowsIn 3, rowsOut 2; message ${MESSAGE_ID} deleted.` },
    ]);
  });

  test('renews what is being settled no more, however often plans are published, but a later receive of it', async () => {
    const message = await stage.received();
    const { session } = stage.subject;
    const action = settleAction(stage.existing(jobFor(message)));
    const trusted = () => stage.world.heartbeat.trustedUntil(message.queue, message.id);
    const told = Promise.withResolvers<void>();
    stage.queue.settleAnswer = async (ids) => {
      await told.promise;
      return done(ids);
    };
    session.settlementsUnderWay.start('job', action, () => stage.apply(action));
    await stage.clock.settle();
    session.publishLeases([]);
    expect(trusted()).toBe(0);

    await stage.received({ receiveCount: message.receiveCount + 1, receiptHandle: 'later' });
    session.publishLeases([]);
    expect(trusted()).toBeGreaterThan(stage.clock.now());
    told.resolve();
    await session.untilWritten();
    expect(session.intake.inbox()).toMatchObject([{ receiptHandle: 'later' }]);
  });

  test('that SQS does not answer leaves the finalizer: the settlement is still owed', async () => {
    const claim = stage.existing(jobFor(aMessage()));
    stage.queue.settleAnswer = () => Promise.reject(sqsFailure('QueueUnreachable', 'retry'));
    expect(await codeOf(stage.apply(settleAction(claim)))).toBe('QueueUnreachable');
    expect(stage.stored(claim.job.metadata.name)?.metadata.finalizers).toEqual([FINALIZER_SETTLEMENT]);
    expect(stage.steps).not.toContain('patch');
  });

  test('with one entry refused leaves the finalizer', async () => {
    const claim = stage.existing(jobFor(aMessage()));
    stage.queue.settleAnswer = ([id = '']) =>
      Promise.resolve([{ id, error: sqsFailure('Throttled', 'retry') }]);
    expect(await codeOf(stage.apply(settleAction(claim)))).toBe('Throttled');
    expect(stage.stored(claim.job.metadata.name)?.metadata.finalizers).toEqual([FINALIZER_SETTLEMENT]);
  });

  test('of a lost lease is done: SQS has the message again', async () => {
    const claim = stage.existing(jobFor(aMessage()));
    stage.queue.settleAnswer = ([id = '']) =>
      Promise.resolve([{ id, error: sqsFailure('LeaseLost', 'lost') }]);
    await stage.apply(settleAction(claim, { does: 'release', delaySeconds: 10 }));
    expect(stage.stored(claim.job.metadata.name)?.metadata.finalizers).toEqual([]);
  });

  test('interrupted between SQS and the finalizer is repeated without harm', async () => {
    const claim = stage.existing(jobFor(aMessage()));
    stage.faults.push({ verb: 'patch', error: kubeFailure('Unavailable', 'retry'), carriedOut: false });
    expect(await codeOf(stage.apply(settleAction(claim)))).toBe('Unavailable');
    await stage.apply(settleAction(claim));
    expect(stage.steps).toEqual(['sqs', 'patch', 'sqs', 'patch']);
    expect(stage.stored(claim.job.metadata.name)?.metadata.finalizers).toEqual([]);
  });

  test('records the result together with the end of the settlement, and keeps the finalizers of others', async () => {
    const job = jobFor(aMessage());
    job.metadata.finalizers = ['other', FINALIZER_SETTLEMENT];
    const claim = stage.existing(job);
    const result = { exitCode: 65, reason: 'DataError', message: 'line 3' };
    await stage.apply(settleAction(claim, { does: 'release', delaySeconds: 30, result }));
    const after = stage.stored(job.metadata.name);
    expect(after?.metadata.finalizers).toEqual(['other']);
    expect(after && claimFrom(after).result).toEqual(result);
    expect(stage.queue.settlements).toMatchObject([{ what: 'release', seconds: 30 }]);
  });

  test('of a Job that has changed since conflicts and is not recorded', async () => {
    const claim = stage.existing(jobFor(aMessage()));
    stage.kube.update({ resource: JOBS, namespace: 'shop', name: claim.job.metadata.name }, (job) => {
      job['status'] = { ready: 1 };
    });
    expect(await codeOf(stage.apply(settleAction(claim)))).toBe('Conflict');
    expect(stage.stored(claim.job.metadata.name)?.metadata.finalizers).toEqual([FINALIZER_SETTLEMENT]);
  });

  test('of a Job that is gone is done, and the cache forgets it', async () => {
    const claim = stage.existing(jobFor(aMessage()));
    stage.kube.update(
      { resource: JOBS, namespace: 'shop', name: claim.job.metadata.name },
      ({ metadata }) => {
        metadata.finalizers = [];
      },
    );
    stage.kube.delete(JOBS, 'shop', claim.job.metadata.name);
    await stage.apply(settleAction(claim));
    expect(stage.world.caches.jobs.list()).toEqual([]);
  });

  test('with an unreadable ledger drops the finalizer and touches no message', async () => {
    const job = jobFor(aMessage());
    job.metadata.annotations = { [ANNOTATION_LEDGER]: '?' };
    const claim = stage.existing(job);
    await stage.apply(settleAction(claim, { note: 'abandoned' }));
    expect(stage.steps).toEqual(['patch']);
    expect(stage.told).toMatchObject([{ type: 'Warning', reason: 'LedgerUnreadable' }]);
  });

  test('of a queue that is gone is owed nothing', async () => {
    const claim = stage.existing(jobFor(aMessage()));
    stage.queue.settleAnswer = () => Promise.reject(sqsFailure('QueueNotFound', 'terminal'));
    await stage.apply(settleAction(claim));
    expect(stage.stored(claim.job.metadata.name)?.metadata.finalizers).toEqual([]);
    expect(stage.told).toMatchObject([{ type: 'Warning', reason: 'SettlementRefused' }]);
  });

  test('in the name of an account that is gone ends with its BatchQueue', async () => {
    const claim = stage.existing(jobFor(aMessage()));
    stage.queue.settleAnswer = () => Promise.reject(sqsFailure('ServiceAccountNotFound', 'terminal'));
    const finalizers = () => stage.stored(claim.job.metadata.name)?.metadata.finalizers;
    await expect(stage.apply(settleAction(claim))).rejects.toThrow('ServiceAccountNotFound');
    expect(finalizers()).not.toEqual([]);
    Object.assign(stage.subject, { object: undefined });
    await stage.apply(settleAction(claim));
    expect(finalizers()).toEqual([]);
  });

  test.each([
    ['a release for a Job that is being deleted', true, 'release', 'QueueUnreachable', 'done'],
    ['a refused delete for a Job that is being deleted', true, 'delete', 'QueueAccessDenied', 'done'],
    [
      'a delete that may still work, although the Job is being deleted',
      true,
      'delete',
      'QueueUnreachable',
      'QueueUnreachable',
    ],
    ['a refused delete for a Job that stays', false, 'delete', 'QueueAccessDenied', 'QueueAccessDenied'],
    ['a refused release for a Job that stays', false, 'release', 'QueueAccessDenied', 'QueueAccessDenied'],
  ] as const)('that fails: %s', async (...row) => {
    const [, isDeleted, does, code, outcome] = row;
    const { job } = stage.existing(jobFor(aMessage()));
    if (isDeleted) stage.kube.delete(JOBS, 'shop', job.metadata.name);
    const claim = claimFrom(stage.stored(job.metadata.name) ?? job);
    const failure = sqsFailure(code, code === 'QueueUnreachable' ? 'retry' : 'terminal');
    stage.queue.settleAnswer = () => Promise.reject(failure);
    expect(await codeOf(stage.apply(settleAction(claim, { does })))).toBe(outcome);
  });

  test('sends nothing while a renewal is under way: it could overtake the release', async () => {
    const message = await stage.received({ visibilityTimeoutSeconds: 30 });
    const claim = stage.existing(jobFor(message));
    await stage.clock.advance(10_000);
    const settled = stage.apply(settleAction(claim, { does: 'release' }));
    await stage.clock.settle();
    expect(stage.queue.settlements).toEqual([]);
    stage.queue.renewals.shift()?.answer(done([message.id]));
    await settled;
    expect(stage.queue.settlements).toHaveLength(1);
    await stage.clock.advance(60_000);
    expect(stage.queue.renewals).toEqual([]);
  });
});

function relabelled(job: KubeObject, batchQueue: string): KubeObject {
  const labels = { ...job.metadata.labels, 'batchqueue.io/queue': batchQueue };
  return { ...job, metadata: { ...job.metadata, labels } };
}
