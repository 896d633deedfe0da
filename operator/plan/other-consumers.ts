import { newestClaims } from './claim.ts';
import type { Claim, LedgerMessage } from './job-facts.ts';
import { messageKey } from './ledger.ts';
import type { InboxMessage } from './message.ts';

/**
 * True when a message was received between two receives of ours, as its receive count tells: somebody else reads the
 * queue too, and costs its messages receives. An answer that was lost on its way to us looks the same.
 */
export function hasOtherConsumers(inbox: readonly InboxMessage[], claims: readonly Claim[]): boolean {
  const newest = newestClaims(claims);
  return inbox.some((message) => {
    const before = heldBefore(message, newest.get(messageKey(message.queue, message.id)));
    return before !== undefined && message.receiveCount - before.receiveCount > 1;
  });
}

function heldBefore({ id }: InboxMessage, claim: Claim | undefined): LedgerMessage | undefined {
  return claim?.ledger?.messages.find((held) => held.id === id);
}
