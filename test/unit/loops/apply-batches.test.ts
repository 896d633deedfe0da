import { beforeEach, describe, expect, test } from '@jest/globals';
import { FINALIZER_SETTLEMENT } from '../../../operator/api/names.ts';
import { claimFrom } from '../../../operator/plan/claim.ts';
import { buildClaim, buildRerun } from '../../../operator/plan/claim-action.ts';
import type { Claim, HeldMessage } from '../../../operator/plan/job-facts.ts';
import { CREATE_TIMEOUT_MS } from '../../../operator/plan/lease.ts';
import type { Message } from '../../../operator/plan/message.ts';
import type { ClaimAction, Settle, Verdict } from '../../../operator/plan/plan.ts';
import { JOBS, SECRETS } from '../../../operator/world.ts';
import { kubeFailure } from '../../simulation/kubernetes/failures.ts';
import { sqsFailure } from '../../simulation/sqs/failures.ts';
import { aMessage, aQueue, aRevision, messageId, QUEUE } from '../../support/builders.ts';
import { done } from '../../support/stub-queue.ts';
import { ApplyStage, codeOf, jobFor } from './apply-stage.ts';

const FIFO = { ...QUEUE, url: `${QUEUE.url}.fifo`, arn: `${QUEUE.arn}.fifo` };
const LARGE = 'x'.repeat(50_000);

let stage: ApplyStage;

beforeEach(() => {
  stage = new ApplyStage();
});

/** What a plan would do with these messages. */
function claimOf(messages: readonly Message[], attempt = 1): ClaimAction {
  const inbox = messages.map((message) => Object.assign({ trustedUntilMs: 0 }, message));
  const action = buildClaim({ queue: aQueue(), revision: aRevision(), messages: inbox, attempt });
  if (!action) throw new Error('they fit');
  return action;
}

function settleOf(claim: Claim, parts: Partial<Settle> = {}, ...does: Verdict['does'][]): Settle {
  const verdicts = claim.held.map((message, index) => ({
    message,
    does: does[index] ?? ('delete' as const),
    delaySeconds: 0,
  }));
  return {
    kind: 'settle',
    claim,
    queue: claim.ledger?.queue,
    verdicts,
    final: true,
    note: undefined,
    deadLetterArn: undefined,
    result: undefined,
    ...parts,
  };
}

function ledgerOf(claim: Claim) {
  const stored = stage.stored(claim.job.metadata.name);
  return stored && claimFrom(stored).ledger;
}

function finalizersOf({ job }: Claim): readonly string[] | undefined {
  return stage.stored(job.metadata.name)?.metadata.finalizers;
}

describe('a large payload', () => {
  test('stands before its Job does, and belongs to it afterwards', async () => {
    const action = claimOf([await stage.received({ body: LARGE })]);
    await stage.apply(action);
    expect(stage.steps).toEqual(['create', 'create', 'patch']);
    const { name } = action.job.metadata;
    const job = stage.stored(name);
    expect(stage.kube.get(SECRETS, 'shop', name)?.metadata.ownerReferences).toMatchObject([
      { kind: 'Job', name, uid: job?.metadata.uid },
    ]);
  });

  test('that was left without its Job is made anew: another batch may have begun with the same message', async () => {
    const message = await stage.received({ body: LARGE });
    const action = claimOf([message]);
    const { name } = action.job.metadata;
    stage.kube.create(SECRETS, 'shop', { metadata: { name }, data: { 'messages.json': 'b2xk' } });
    await stage.apply(action);
    expect(stage.kube.get(SECRETS, 'shop', name)?.['data']).toEqual(action.secrets[0]?.['data']);
  });

  test('of a Job that stands already is left alone', async () => {
    const message = await stage.received({ body: LARGE, receiveCount: 2 });
    const before = claimOf([{ ...message, receiveCount: 1 }]);
    stage.kube.create(JOBS, 'shop', before.job);
    const { name } = before.job.metadata;
    const kept = stage.kube.create(SECRETS, 'shop', { metadata: { name }, data: { kept: 'yes' } });
    await stage.apply(claimOf([message]));
    expect(stage.kube.get(SECRETS, 'shop', name)).toMatchObject({ data: kept['data'] });
  });

  test('that cannot be made keeps the Job from being made', async () => {
    const action = claimOf([await stage.received({ body: LARGE })]);
    stage.faults.push({ verb: 'create', error: kubeFailure('Forbidden', 'terminal'), carriedOut: false });
    await stage.apply(action);
    expect(stage.kube.list(JOBS).items).toEqual([]);
    expect(stage.subject.session.intake.inbox()).toHaveLength(1);
  });

  test('goes over to the next run of its attempt', async () => {
    const action = claimOf([await stage.received({ body: LARGE })]);
    await stage.apply(action);
    const { name } = action.job.metadata;
    const ended = claimFrom(stage.stored(name) ?? action.job);
    const rerun = buildRerun({ queue: aQueue(), revision: aRevision(), claim: ended, inbox: [] });
    if (!rerun) throw new Error('it can be read');
    // Whoever was asleep since it planned this knows nothing of what others have made since.
    await expect(stage.apply(rerun)).rejects.toMatchObject({ code: 'ListTooOld' });
    await stage.apply({ kind: 'listJobs' });
    await stage.apply(rerun);
    expect(stage.stored(`${name}-r2`)).toBeDefined();
    expect(stage.kube.get(SECRETS, 'shop', name)?.metadata.ownerReferences).toMatchObject([
      { kind: 'Job', name: `${name}-r2` },
    ]);
  });

  test('without a Job is swept when it is old, and only then', async () => {
    const labels = { 'batchqueue.io/queue': 'orders' };
    const action = claimOf([await stage.received({ body: LARGE })]);
    stage.kube.create(SECRETS, 'shop', { metadata: { name: 'left-behind', labels } });
    await stage.apply(action);
    await stage.clock.advance(599_000);
    stage.kube.create(SECRETS, 'shop', { metadata: { name: 'new', labels } });
    await stage.clock.advance(2_000);
    await stage.apply({ kind: 'sweepPayloads' });
    expect(stage.kube.list(SECRETS).items.map(({ metadata }) => metadata.name)).toEqual([
      action.job.metadata.name,
      'new',
    ]);
    expect(stage.subject.session.sweepAtMs).toBe(stage.clock.now() + 600_000);
    await stage.clock.advance(600_000);
    await stage.apply({ kind: 'sweepPayloads' });
    expect(stage.kube.list(SECRETS).items).toHaveLength(1);
    expect(stage.subject.session.sweepAtMs).toBeUndefined();
  });

  test('that its Job does not own is swept when the Job is gone, however late that is', async () => {
    const action = claimOf([await stage.received({ body: LARGE })]);
    await stage.apply(action);
    const { name } = action.job.metadata;
    // As after a crash between the create of the Job and this.
    stage.kube.update({ resource: SECRETS, namespace: 'shop', name }, ({ metadata }) => {
      metadata.ownerReferences = [];
    });
    await stage.clock.advance(601_000);
    await stage.apply({ kind: 'sweepPayloads' });
    expect(stage.kube.get(SECRETS, 'shop', name)).toBeDefined();
    expect(stage.subject.session.sweepAtMs).toBe(stage.clock.now() + 600_000);
    stage.kube.update({ resource: JOBS, namespace: 'shop', name }, ({ metadata }) => {
      metadata.finalizers = [];
    });
    stage.kube.delete(JOBS, 'shop', name);
    await stage.clock.advance(600_000);
    await stage.apply({ kind: 'sweepPayloads' });
    expect(stage.kube.get(SECRETS, 'shop', name)).toBeUndefined();
  });
});

describe('a create whose answer is lost', () => {
  async function lost(): Promise<ClaimAction> {
    const action = claimOf([await stage.received()]);
    const error = kubeFailure('RequestTimeout', 'retry', { outcomeUnknown: true });
    stage.faults.push({ verb: 'create', error, carriedOut: false });
    expect(await codeOf(stage.apply(action))).toBe('RequestTimeout');
    return action;
  }

  test('and that reading does not find is remembered as it was, until it is answered', async () => {
    const action = await lost();
    expect(stage.subject.session.unconfirmed()).toEqual([{ action, sentAtMs: stage.clock.now() }]);
    await stage.apply({ kind: 'listJobs' });
    await stage.apply(action);
    expect(stage.subject.session.unconfirmed()).toEqual([]);
  });

  test('is known to have come to nothing by a list that began after it must have arrived', async () => {
    await lost();
    await stage.apply({ kind: 'listJobs' });
    expect(stage.subject.session.unconfirmed()).toHaveLength(1);
    await stage.clock.advance(CREATE_TIMEOUT_MS + 1);
    await stage.apply({ kind: 'listJobs' });
    expect(stage.subject.session.unconfirmed()).toEqual([]);
    expect(stage.subject.session.jobsListedAtMs).toBe(stage.clock.now());
  });
});

describe('settling a batch', () => {
  const messages = [0, 1, 2].map((number) => aMessage({ id: messageId(number) }));
  const three = (): Claim => stage.existing(jobFor(aMessage({ id: messageId(0) }), 1, ...messages.slice(1)));

  test('records each message as its own, in one write', async () => {
    const claim = three();
    await stage.apply(settleOf({ ...claim, outcome: 'succeeded' }, {}, 'delete', 'release', 'reject'));
    expect(stage.steps.filter((step) => step === 'patch')).toHaveLength(1);
    expect(ledgerOf(claim)).toMatchObject({ deleted: '0', released: '1', rejected: '2' });
    expect(finalizersOf(claim)).toEqual([]);
    expect(stage.counted).toEqual([
      'messagesDeleted',
      'messagesReleased',
      'messagesRejected',
      'jobsSucceeded',
    ]);
  });

  test('records what SQS has taken, and keeps owing what it refused', async () => {
    const claim = three();
    stage.queue.settleAnswer = (ids) =>
      Promise.resolve(
        ids.map((id) => ({ id, error: id === messageId(1) ? sqsFailure('Throttled', 'retry') : undefined })),
      );
    expect(await codeOf(stage.apply(settleOf(claim)))).toBe('Throttled');
    expect(ledgerOf(claim)?.deleted).toBe('0,2');
    expect(finalizersOf(claim)).toEqual([FINALIZER_SETTLEMENT]);
  });

  test('of which some indexes still run keeps the finalizer', async () => {
    const claim = three();
    const action = settleOf(claim, { final: false });
    await stage.apply({ ...action, verdicts: action.verdicts.slice(0, 1) });
    expect(ledgerOf(claim)?.deleted).toBe('0');
    expect(finalizersOf(claim)).toEqual([FINALIZER_SETTLEMENT]);
  });

  test('deletes a rejected message only after the dead-letter queue has its copy', async () => {
    const claim = three();
    const result = { exitCode: 65, reason: 'DataError', message: 'line 3' };
    const action = settleOf(claim, { deadLetterArn: 'arn:dead', result }, 'copy', 'copy', 'release');
    stage.queue.copyAnswer = ([first = '', second = '']) =>
      Promise.resolve([...done([first]), { id: second, error: sqsFailure('QueueAccessDenied', 'terminal') }]);
    expect(await codeOf(stage.apply(action))).toBe('QueueAccessDenied');
    expect(stage.queue.copies).toMatchObject([
      { id: messageId(0), body: messages[0]?.body, reason: 'DataError: line 3' },
      { id: messageId(1) },
    ]);
    const deleted = stage.queue.settlements.filter(({ what }) => what === 'delete').flatMap(({ ids }) => ids);
    expect(deleted).toEqual([messageId(0)]);
    expect(ledgerOf(claim)).toMatchObject({ deleted: '0', released: '2' });
    expect(finalizersOf(claim)).toEqual([FINALIZER_SETTLEMENT]);
  });

  test('copies nothing, and deletes nothing, when what the message was cannot be read any more', async () => {
    const job = jobFor(aMessage());
    const claim = stage.existing({ ...job, spec: {} });
    const action = settleOf(claim, { deadLetterArn: 'arn:dead' }, 'copy');
    expect(await codeOf(stage.apply(action))).toBe('PayloadUnreadable');
    expect(stage.queue.settlements).toEqual([]);
  });
});

describe('settling a message group', () => {
  const inGroup = (number: number): Partial<Message> => ({
    id: messageId(number),
    queue: FIFO,
    attributes: { MessageGroupId: 'g', SequenceNumber: String(100 + number) },
  });
  const told = () =>
    stage.queue.settlements.map(({ what, ids }) => `${what} ${ids.map((id) => Number(id.slice(-2))).join()}`);

  test('tells SQS one by one, in the order of the plan', async () => {
    const claim = stage.existing(jobFor(aMessage(inGroup(0)), 1, aMessage(inGroup(1)), aMessage(inGroup(2))));
    const [first, second, third] = claim.held;
    const order: [HeldMessage | undefined, Verdict['does']][] = [
      [first, 'delete'],
      [third, 'release'],
      [second, 'release'],
    ];
    const verdicts = order.flatMap(([message, does]) =>
      message ? [{ message, does, delaySeconds: 5 }] : [],
    );
    await stage.apply(settleOf(claim, { verdicts }));
    expect(told()).toEqual(['delete 0', 'release 2', 'release 1']);
  });

  test('gives back what waits behind it first, last to first', async () => {
    const claim = stage.existing(jobFor(aMessage(inGroup(0))));
    stage.queue.receives.shift()?.answer([2, 1].map((number) => aMessage(inGroup(number))));
    await stage.clock.settle();
    await stage.apply(settleOf(claim, {}, 'release'));
    expect(told()).toEqual(['release 2', 'release 1', 'release 0']);
    expect(stage.subject.session.intake.inbox()).toEqual([]);
  });

  test('keeps a delete owed that was refused because its handle had expired', async () => {
    const claim = stage.existing(jobFor(aMessage(inGroup(0))));
    stage.queue.settleAnswer = (ids) =>
      Promise.resolve(ids.map((id) => ({ id, error: sqsFailure('LeaseLost', 'lost') })));
    await stage.apply(settleOf(claim));
    expect(finalizersOf(claim)).toEqual([FINALIZER_SETTLEMENT]);
    expect(ledgerOf(claim)?.messages).toMatchObject([{ refusedAtMs: expect.any(Number) }]);
    expect(stage.told).toMatchObject([{ reason: 'LeaseLost' }]);
  });

  test('tells SQS nothing more after the first refusal: what follows would overtake it', async () => {
    const claim = stage.existing(jobFor(aMessage(inGroup(0)), 1, aMessage(inGroup(1))));
    stage.queue.settleAnswer = (ids) =>
      Promise.resolve(ids.map((id) => ({ id, error: sqsFailure('Throttled', 'retry') })));
    expect(await codeOf(stage.apply(settleOf(claim)))).toBe('Throttled');
    expect(told()).toEqual(['delete 0']);
    expect(ledgerOf(claim)?.deleted).toBeUndefined();
  });
});
