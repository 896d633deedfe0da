import { batches } from './batch.ts';
import { attemptOf, fateIn, newestClaims } from './claim.ts';
import { buildClaim } from './claim-action.ts';
import { earliest } from './earliest.ts';
import type { Claim, Fate, Ledger } from './job-facts.ts';
import type { DispatchContext, JudgedMessage, Runnable } from './judged-message.ts';
import { clampDelay } from './lease.ts';
import { groupOf, ledgerMessageFrom, messageKey } from './ledger.ts';
import type { InboxMessage } from './message.ts';
import { inOrder } from './message-group.ts';
import type { Action, ClaimAction, ReleaseAction } from './plan.ts';
import { whenCertain } from './unanswered.ts';

/** What to do now, and when to look again although nothing has happened (epoch ms; undefined: never). */
export interface Dispatch {
  readonly actions: readonly Action[];
  readonly lookAgainAtMs: number | undefined;
}

/**
 * What to do with the received messages, looking at the newest Job that holds each:
 *
 * | newest Job                   | then                                                      |
 * | ---------------------------- | --------------------------------------------------------- |
 * | none                         | run; the attempt is SQS's receive count                   |
 * | holds it and has not ended   | adopt: the newest receipt handle goes onto the Job        |
 * | holds it and has ended       | nothing here: the settlement uses the new receipt handle  |
 * | deleted it                   | discard: it was delivered again after its delete          |
 * | released it                  | run, attempt n + 1; this very receive, or a later: forget |
 * | rejected it                  | release again, for the redrive policy to take it away     |
 *
 * A message of a FIFO group whose predecessor is no longer here goes back as well.
 *
 * A message whose Job is being created waits for what comes of it. One whose lease is lost is forgotten; SQS brings it back. One whose lease is about to end waits for the
 * heartbeat: a long poll may bring a message later than a short visibility timeout after it was asked for.
 */
export function planDispatch(inbox: readonly InboxMessage[], context: DispatchContext): Dispatch {
  const newest = newestClaims(context.claims);
  const view = {
    ...context,
    newest,
    here: new Set(inbox.map(({ id }) => id)),
    underWayIds: idsIn(context.underWay),
    unconfirmedIds: idsIn(context.unconfirmed.map(({ action }) => action)),
  };
  const judged = inbox.map((message) => judge(message, view));
  const runnable = judged.flatMap((one) => (one.kind === 'run' ? [one] : []));
  const formed = batches(runnable, judged, context);
  const { needsList, lookAgainAtMs } = whenCertain(context.unconfirmed, context.nowMs);
  return {
    actions: [
      ...judged.flatMap(({ kind, message }): Action[] =>
        kind === 'forget' || kind === 'discard' ? [{ kind, message }] : [],
      ),
      ...adoptions(judged),
      ...releases(judged, view),
      ...formed.closed.flatMap((batch) => claimOrRelease(batch, context)),
      ...(needsList || formed.needsList ? [{ kind: 'listJobs' } as const] : []),
    ],
    lookAgainAtMs: earliest([formed.closesAtMs, lookAgainAtMs]),
  };
}

function idsIn(actions: readonly ClaimAction[]): ReadonlySet<string> {
  return new Set(actions.flatMap(({ messages }) => messages.map(({ id }) => id)));
}

interface JudgeContext extends DispatchContext {
  readonly newest: ReadonlyMap<string, Claim>;
  /** The messages of the inbox. */
  readonly here: ReadonlySet<string>;
  /** The messages whose Jobs are being created. */
  readonly underWayIds: ReadonlySet<string>;
  /** The messages of creates that were never answered. */
  readonly unconfirmedIds: ReadonlySet<string>;
}

function judge(message: InboxMessage, context: JudgeContext): JudgedMessage {
  if (context.underWayIds.has(message.id)) return { kind: 'wait', message };
  const claim = context.newest.get(messageKey(message.queue, message.id));
  const fate = claim && fateIn(claim, message.id);
  const met = fate === 'held' && claim?.ledger ? meetHolder(message, claim, claim.ledger) : undefined;
  // A settlement, which keeps no lease, takes this receipt handle: it needs it again if SQS refuses for now.
  if (met?.kind === 'wait') return met;
  if (message.trustedUntilMs === 0) return { kind: 'forget', message };
  return met ?? judgeUnheld(message, claim, fate, context);
}

/** A message that we hold and no Job does, and what became of it in the newest one that did. */
function judgeUnheld(
  message: InboxMessage,
  claim: Claim | undefined,
  fate: Fate | undefined,
  context: JudgeContext,
): JudgedMessage {
  if (fate === 'deleted') return { kind: 'discard', message };
  if (claim && isOvertaken(message, claim)) return { kind: 'forget', message };
  // Its Job may still come: then it would run, or somebody else would have it, beside that.
  if (context.unconfirmedIds.has(message.id)) return { kind: 'wait', message };
  const reason = whyGiveBack(message, fate, context);
  if (reason !== undefined) return { kind: 'giveBack', message, reason };
  return context.queue && context.revision ? run(message, claim) : { kind: 'wait', message };
}

function whyGiveBack(
  message: InboxMessage,
  fate: Fate | undefined,
  context: JudgeContext,
): string | undefined {
  if (context.isGone) return 'BatchQueueGone';
  if (fate === 'rejected') return 'RejectedBefore';
  return mayFollow(message, context) ? undefined : 'OutOfOrder';
}

/**
 * True for a receive that a Job has given back, or a later one: by another process, perhaps. Of two processes neither
 * knows what the other releases; and counts begin anew when a dead letter is put back into its queue.
 */
function isOvertaken({ id, receiveCount, receivedAtMs }: InboxMessage, { ledger }: Claim): boolean {
  const known = ledger?.messages.find((each) => each.id === id);
  return known !== undefined && known.receiveCount >= receiveCount && known.receivedAtMs >= receivedAtMs;
}

/**
 * A message of a group that came behind another one runs behind it, or after it is done. Not when that one has been given
 * back, or its Job is gone and nobody knows what became of it: then SQS delivers both again, in order.
 */
function mayFollow({ queue, behind }: InboxMessage, { newest, here }: JudgeContext): boolean {
  if (behind === undefined || here.has(behind)) return true;
  const claim = newest.get(messageKey(queue, behind));
  const fate = claim && fateIn(claim, behind);
  return fate === 'held' || fate === 'deleted';
}

function run(message: InboxMessage, claim: Claim | undefined): Runnable {
  const known = claim ? attemptOf(claim) : 0;
  const attempt = claim ? known + 1 : Math.max(1, message.receiveCount);
  // Every receive makes one Job at most, so that no attempt can be above the receives before this one.
  return { kind: 'run', message, attempt, lock: known + 1, isSure: known >= message.receiveCount - 1 };
}

function meetHolder(message: InboxMessage, claim: Claim, ledger: Ledger): JudgedMessage {
  const index = ledger.messages.findIndex(({ id }) => id === message.id);
  const known = ledger.messages[index];
  const isSettling =
    claim.outcome !== 'active' || claim.indexes?.completed.has(index) || claim.indexes?.failed.has(index);
  // Receive counts only grow, so they order the receipt handles of a message.
  const isNews = known === undefined || known.receiveCount < message.receiveCount;
  if (isSettling) return { kind: isNews ? 'wait' : 'forget', message };
  return isNews ? { kind: 'adopt', message, claim, ledger } : { kind: 'forget', message };
}

/** One write of the Job for all of its messages that came back. */
function adoptions(judged: readonly JudgedMessage[]): readonly Action[] {
  const byClaim = new Map<Claim, InboxMessage[]>();
  for (const one of judged) {
    if (one.kind === 'adopt') byClaim.set(one.claim, [...(byClaim.get(one.claim) ?? []), one.message]);
  }
  return [...byClaim].flatMap(([claim, messages]): Action[] => {
    const { ledger } = claim;
    if (!ledger) return [];
    const held = ledger.messages.map((known) => {
      const again = messages.find(({ id }) => id === known.id);
      return again ? ledgerMessageFrom(again) : known;
    });
    // Another ServiceAccount may have read them this time.
    const queue = messages.at(-1)?.queue ?? ledger.queue;
    return [{ kind: 'adopt', messages, claim, ledger: { ...ledger, queue, messages: held } }];
  });
}

/**
 * Messages that get no Job go back. On FIFO queues what was received of the same group goes along, in one action and last to
 * first: while one message of a group is held, SQS gives out none of those behind it.
 */
function releases(judged: readonly JudgedMessage[], context: JudgeContext): readonly Action[] {
  const { queue, nowMs, unconfirmedIds } = context;
  const back = judged.flatMap((one) => (one.kind === 'giveBack' ? [one] : []));
  const firsts = Map.groupBy(back, (one) => groupOf(one.message) ?? one);
  return [...firsts.values()].flatMap(([first]): ReleaseAction[] => {
    if (!first) return [];
    const { message, reason } = first;
    const groupId = groupOf(message);
    const group = judged.filter((one) => groupId !== undefined && groupOf(one.message) === groupId);
    if (group.some((one) => unconfirmedIds.has(one.message.id))) return [];
    const wished = reason === 'RejectedBefore' ? (queue?.spec.retry.maxBackoffSeconds ?? 0) : 0;
    const delaySeconds = clampDelay(wished, message.receivedAtMs, nowMs);
    const messages =
      groupId === undefined ? [message] : group.filter(isOurs(context)).map((one) => one.message);
    return [{ kind: 'release', messages: inOrder(messages).toReversed(), delaySeconds, reason }];
  });
}

/** True for what we alone hold: what a Job holds is settled with it, and what is over is nobody's. */
function isOurs({ newest }: JudgeContext): (one: JudgedMessage) => boolean {
  return ({ kind, message }) => {
    const claim = newest.get(messageKey(message.queue, message.id));
    const isHeld = claim !== undefined && fateIn(claim, message.id) === 'held';
    return !isHeld && kind !== 'forget' && kind !== 'discard';
  };
}

function claimOrRelease(batch: readonly Runnable[], { queue, revision, nowMs }: DispatchContext): Action[] {
  const [first] = batch;
  if (!queue || !revision || !first) return [];
  const messages = batch.map(({ message }) => message);
  const action = buildClaim({ queue, revision, messages, attempt: first.attempt, lock: first.lock });
  if (action) return [action];
  // It cannot run, so it goes the way of what keeps failing: back to the queue, and by redrive to the dead-letter queue.
  const delaySeconds = clampDelay(queue.spec.retry.maxBackoffSeconds, first.message.receivedAtMs, nowMs);
  return [
    { kind: 'release', messages: inOrder(messages).toReversed(), delaySeconds, reason: 'PayloadTooLarge' },
  ];
}
