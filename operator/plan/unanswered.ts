import { earliest } from './earliest.ts';
import type { DispatchContext, JudgedMessage, Runnable } from './judged-message.ts';
import { CREATE_TIMEOUT_MS, isRecentList, outlivesCreate } from './lease.ts';
import { parseLedger } from './ledger.ts';
import type { InboxMessage } from './message.ts';
import type { ClaimAction } from './plan.ts';
import type { Snapshot, UnconfirmedClaim } from './snapshot.ts';

/** Creates that nobody has answered, apart from those that are being sent again just now. */
export function unanswered({
  underWay,
  unconfirmed,
}: Pick<Snapshot, 'underWay' | 'unconfirmed'>): readonly UnconfirmedClaim[] {
  const sentAgain = new Set(underWay.map(({ job }) => job.metadata.name));
  return unconfirmed.filter(({ action }) => !sentAgain.has(action.job.metadata.name));
}

/** What to do about creates that were never answered. */
export interface Resends {
  /** To be sent again just as they were. */
  readonly again: readonly ClaimAction[];
  /** The messages that are still here: nothing else may become of them meanwhile. */
  readonly taken: ReadonlySet<string>;
  readonly needsList: boolean;
  /** When one of them can come no more (epoch ms; undefined: none waits for that). */
  readonly againAtMs: number | undefined;
}

/**
 * Creates that were never answered are sent again exactly as they were, while all of their messages are still here and
 * would be run under the same name: another composition could meet the first one's late arrival under another name.
 *
 * Only right after a list of the Jobs that began after the create was sent. Its Job may have been made, and another
 * operator may have taken it further: to the next run or attempt, with the first Job gone and its name free again.
 *
 * With a message gone or told of by another Job they wait for a list that was begun after they must have arrived; so
 * they do when the BatchQueue is gone.
 */
export function resend(
  inbox: readonly InboxMessage[],
  judged: readonly JudgedMessage[],
  context: DispatchContext,
): Resends {
  const { nowMs, jobsListedAtMs } = context;
  const here = new Map(inbox.map((message) => [message.id, message]));
  const runnable = new Map(judged.flatMap((one) => (one.kind === 'run' ? [[one.message.id, one]] : [])));
  const again: ClaimAction[] = [];
  const taken = new Set<string>();
  let needsList = false;
  let againAtMs: number | undefined;
  for (const { action, sentAtMs } of unanswered(context)) {
    const present = action.messages.flatMap(({ id }) => here.get(id) ?? []);
    for (const { id } of present) taken.add(id);
    const mayGo = present.every(({ trustedUntilMs }) => outlivesCreate(trustedUntilMs, nowMs));
    if (!context.isGone && isUnchanged(action, runnable)) {
      const isListed = jobsListedAtMs > sentAtMs && isRecentList(jobsListedAtMs, nowMs);
      if (mayGo && isListed) again.push(action);
      needsList ||= mayGo && !isListed;
    } else if (nowMs > sentAtMs + CREATE_TIMEOUT_MS) needsList = true;
    else againAtMs = earliest([againAtMs, sentAtMs + CREATE_TIMEOUT_MS + 1]);
  }
  return { again, taken, needsList, againAtMs };
}

/** True while planning it anew would give it the same messages, attempt and name. */
function isUnchanged({ messages, job }: ClaimAction, runnable: ReadonlyMap<string, Runnable>): boolean {
  const ledger = parseLedger(job);
  const [first] = messages;
  if (!ledger || !first || runnable.get(first.id)?.lock !== (ledger.lock ?? ledger.attempt)) return false;
  return messages.every(({ id }) => runnable.get(id)?.attempt === ledger.attempt);
}
