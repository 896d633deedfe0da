import { describe, expect, test } from '@jest/globals';
import { planDispatch } from '../../../operator/plan/dispatch.ts';
import type { DispatchContext } from '../../../operator/plan/judged-message.ts';
import { parseLedger } from '../../../operator/plan/ledger.ts';
import type { InboxMessage } from '../../../operator/plan/message.ts';
import type { Action, ClaimAction } from '../../../operator/plan/plan.ts';
import type { UnconfirmedClaim } from '../../../operator/plan/snapshot.ts';
import {
  aClaim,
  anInboxMessage,
  aQueue,
  aRevision,
  type ClaimParts,
  messageId,
  NOW_MS,
  QUEUE,
} from '../../support/builders.ts';

const SENT_MS = NOW_MS - 1_000;

function contextOf(parts: Partial<DispatchContext> = {}): DispatchContext {
  return {
    nowMs: NOW_MS,
    queue: aQueue({ spec: { queue: { url: QUEUE.url, batchSize: 10 } } }),
    isGone: false,
    revision: aRevision(),
    claims: [],
    slots: 10,
    arrivals: 'none',
    underWay: [],
    unconfirmed: [],
    jobsListedAtMs: NOW_MS,
    ...parts,
  };
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
function sent(inbox: readonly InboxMessage[], claims: DispatchContext['claims'] = []): UnconfirmedClaim[] {
  const [action] = creates(planDispatch(inbox, contextOf({ claims })).actions);
  return action ? [{ action, sentAtMs: SENT_MS }] : [];
}

describe('a create that was never answered', () => {
  const inbox = messages([1, 2]);
  const unconfirmed = sent(inbox);

  test('is sent again exactly as it was, and never regrouped with what came since', () => {
    const plan = planDispatch([...inbox, ...messages([3])], contextOf({ unconfirmed }));
    expect(creates(plan.actions)[0]).toBe(unconfirmed[0]?.action);
    expect(jobs(plan.actions)).toEqual([['1', '2'], ['3']]);
  });

  test.each([
    ['from before it was sent', { jobsListedAtMs: SENT_MS }],
    ['that is too old', { jobsListedAtMs: NOW_MS + 5_000, nowMs: NOW_MS + 9_001 }],
  ])('is not sent again on the strength of a list %s', (_, parts) => {
    const { actions } = planDispatch(inbox, contextOf({ unconfirmed, ...parts }));
    expect(kinds(actions)).toEqual(['listJobs']);
  });

  test.each<[string, ClaimParts]>([
    ['to the next run', { run: 2, outcome: 'failed' }],
    ['to the end, in a later run', { run: 2, outcome: 'failed', settled: true }],
    ['to the next attempt', { attempt: 2 }],
  ])('is not sent again when somebody has taken one of its messages %s', (_, parts) => {
    const claims = [aClaim({ message: { id: messageId(1), receiveCount: 1 }, ...parts })];
    const at = (nowMs: number) => planDispatch(inbox, contextOf({ claims, unconfirmed, nowMs })).actions;
    expect(jobs(at(NOW_MS))).toEqual([]);
    // It may still come, and then with both of them.
    expect(jobs(at(SENT_MS + 4_001))).toEqual([]);
    expect(kinds(at(SENT_MS + 4_001))).toContain('listJobs');
  });

  test('is sent again after a list that shows the attempt before it', () => {
    const before = { attempt: 1, outcome: 'failed', settled: true } as const;
    const claims = [1, 2].map((number) => aClaim({ message: { id: messageId(number) }, ...before }));
    const again = messages([1, 2], { receiveCount: 2 });
    const open = sent(again, claims);
    expect(open).toHaveLength(1);
    const { actions } = planDispatch(again, contextOf({ claims, unconfirmed: open }));
    expect(actions).toEqual([open[0]?.action]);
  });

  test('with a member gone waits until it must have arrived, and then for a list', () => {
    const rest = messages([2]);
    expect(planDispatch(rest, contextOf({ unconfirmed })).actions).toEqual([]);
    const later = contextOf({ unconfirmed, nowMs: NOW_MS + 10_000 });
    expect(kinds(planDispatch(rest, later).actions)).toEqual(['listJobs']);
    expect(jobs(planDispatch(rest, contextOf()).actions)).toEqual([['2']]);
  });
});
