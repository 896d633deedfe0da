import { earliest } from './earliest.ts';
import type { DispatchContext } from './judged-message.ts';
import { CREATE_TIMEOUT_MS, outlivesCreate } from './lease.ts';
import type { InboxMessage } from './message.ts';
import type { Action } from './plan.ts';
import type { Snapshot, UnconfirmedClaim } from './snapshot.ts';

/** Creates that nobody has answered, apart from those that are being sent again just now. */
export function unanswered({
  underWay,
  unconfirmed,
}: Pick<Snapshot, 'underWay' | 'unconfirmed'>): readonly UnconfirmedClaim[] {
  const sentAgain = new Set(underWay.map(({ job }) => job.metadata.name));
  return unconfirmed.filter(({ action }) => !sentAgain.has(action.job.metadata.name));
}

/**
 * Creates that were never answered are sent again exactly as they were, while all of their messages are still here:
 * another composition could meet the first one's late arrival under another name. With a message gone they wait for a
 * list that was begun after they must have arrived; so they do when the BatchQueue is gone. `againAtMs`: when that is
 * (epoch ms; undefined: never).
 */
export function resend(
  inbox: readonly InboxMessage[],
  context: DispatchContext,
): { again: Action[]; taken: Set<string>; againAtMs: number | undefined } {
  const here = new Map(inbox.map((message) => [message.id, message]));
  const again: Action[] = [];
  const taken = new Set<string>();
  let againAtMs: number | undefined;
  for (const { action, sentAtMs } of unanswered(context)) {
    const present = action.messages.flatMap(({ id }) => here.get(id) ?? []);
    for (const { id } of present) taken.add(id);
    const isWhole = present.length === action.messages.length && !context.isGone;
    const mayGo = present.every(({ trustedUntilMs }) => outlivesCreate(trustedUntilMs, context.nowMs));
    if (isWhole && mayGo) again.push(action);
    else if (!isWhole && context.nowMs > sentAtMs + CREATE_TIMEOUT_MS) again.push({ kind: 'listJobs' });
    else if (!isWhole) againAtMs = earliest([againAtMs, sentAtMs + CREATE_TIMEOUT_MS + 1]);
  }
  return { again, taken, againAtMs };
}
