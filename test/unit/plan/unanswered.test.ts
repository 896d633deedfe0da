import { describe, expect, test } from '@jest/globals';
import { planDispatch } from '../../../operator/plan/dispatch.ts';
import type { DispatchContext } from '../../../operator/plan/judged-message.ts';
import { CREATE_TIMEOUT_MS } from '../../../operator/plan/lease.ts';
import { parseLedger } from '../../../operator/plan/ledger.ts';
import type { InboxMessage } from '../../../operator/plan/message.ts';
import type { Action, ClaimAction } from '../../../operator/plan/plan.ts';
import type { UnconfirmedClaim } from '../../../operator/plan/snapshot.ts';
import { whenCertain } from '../../../operator/plan/unanswered.ts';
import {
  aClaim,
  aDispatchContext,
  anInboxMessage,
  aQueue,
  type ClaimParts,
  messageId,
  NOW_MS,
  QUEUE,
} from '../../support/builders.ts';

const SENT_MS = NOW_MS - 1_000;

function contextOf(parts: Partial<DispatchContext> = {}): DispatchContext {
  const queue = aQueue({ spec: { queue: { url: QUEUE.url, batchSize: 10 } } });
  return aDispatchContext({ queue, ...parts });
}

/** Messages with these numbers, in this order. */
function messages(numbers: readonly number[], parts: Partial<InboxMessage> = {}): readonly InboxMessage[] {
  return numbers.map((number) => {
    return anInboxMessage({ id: messageId(number), sentAtMs: NOW_MS - 60_000 + number, ...parts });
  });
}

function creates(actions: readonly Action[]): readonly ClaimAction[] {
  return actions.flatMap((action) => (action.kind === 'claim' ? [action] : []));
}

/** The messages of each Job. */
function jobs(actions: readonly Action[]): readonly (readonly string[])[] {
  return creates(actions).map(({ job }) => (parseLedger(job)?.messages ?? []).map(({ id }) => id.slice(-1)));
}

function kinds(actions: readonly Action[]): readonly string[] {
  return actions.map(({ kind }) => kind);
}

/** The create of these messages, as it was sent a second ago. */
function sent(inbox: readonly InboxMessage[]): UnconfirmedClaim[] {
  const [action] = creates(planDispatch(inbox, contextOf()).actions);
  return action ? [{ action, sentAtMs: SENT_MS }] : [];
}

describe('a create that was never answered', () => {
  const inbox = messages([1, 2]);
  const unconfirmed = sent(inbox);
  const certainAtMs = SENT_MS + CREATE_TIMEOUT_MS + 1;

  test('keeps its messages while it may come, and is never regrouped with what came since', () => {
    const plan = planDispatch([...inbox, ...messages([3])], contextOf({ unconfirmed }));
    expect(jobs(plan.actions)).toEqual([['3']]);
    expect(plan.lookAgainAtMs).toBe(certainAtMs);
  });

  test('is not sent again on the strength of a list: only one that begins when it can come no more tells', () => {
    const listed = contextOf({ unconfirmed, jobsListedAtMs: NOW_MS });
    expect(kinds(planDispatch(inbox, listed).actions)).toEqual([]);
    expect(kinds(planDispatch(inbox, { ...listed, nowMs: certainAtMs }).actions)).toEqual(['listJobs']);
  });

  test('keeps what is left of its messages, too', () => {
    const rest = messages([2]);
    expect(planDispatch(rest, contextOf({ unconfirmed })).actions).toEqual([]);
    expect(jobs(planDispatch(rest, contextOf()).actions)).toEqual([['2']]);
  });

  test.each<[string, ClaimParts]>([
    ['to the next run', { run: 2, outcome: 'failed' }],
    ['to the end, in a later run', { run: 2, outcome: 'failed', settled: true }],
    ['to the next attempt', { attempt: 2 }],
  ])('makes no Job when somebody has taken one of its messages %s', (_, parts) => {
    const claims = [aClaim({ message: { id: messageId(1), receiveCount: 1 }, ...parts })];
    const at = (nowMs: number) => planDispatch(inbox, contextOf({ claims, unconfirmed, nowMs })).actions;
    expect(jobs(at(NOW_MS))).toEqual([]);
    expect(jobs(at(certainAtMs))).toEqual([]);
    expect(kinds(at(certainAtMs))).toContain('listJobs');
  });
});

test('of several creates each is looked for when it can come no more', () => {
  const open = [0, 1].flatMap((number) => {
    return sent(messages([number])).map(({ action }) => ({ action, sentAtMs: NOW_MS + number * 1_000 }));
  });
  const firstMs = NOW_MS + CREATE_TIMEOUT_MS + 1;
  expect(whenCertain(open, NOW_MS)).toEqual({ needsList: false, lookAgainAtMs: firstMs });
  expect(whenCertain(open, firstMs)).toEqual({ needsList: true, lookAgainAtMs: firstMs + 1_000 });
  expect(whenCertain([], NOW_MS)).toEqual({ needsList: false, lookAgainAtMs: undefined });
});
