import { type BlockedGroup, MAX_BLOCKED_GROUPS } from '../api/status.ts';
import { attemptOf, fateIn, newestClaims } from './claim.ts';
import { isoSeconds } from './iso-time.ts';
import type { Claim, LedgerMessage } from './job-facts.ts';
import { remember } from './remember.ts';
import type { Snapshot } from './snapshot.ts';

/**
 * Groups of a FIFO queue whose first message has failed: SQS gives out nothing else of them until it has succeeded or is
 * dead-lettered. Longest blocked first; undefined when there is none. As far as the Jobs still kept can tell.
 */
export const blockedGroups: (snapshot: Snapshot) => BlockedGroup[] | undefined = remember(findBlockedGroups);

function findBlockedGroups({ claims, inbox, observation }: Snapshot): BlockedGroup[] | undefined {
  if (!claims.some(({ ledger }) => ledger?.messages[0]?.groupId !== undefined)) return undefined;
  const maxReceives = observation.kind === 'reachable' ? observation.attributes.maxReceiveCount : undefined;
  const newestOfGroup = new Map<string, Claim>();
  for (const claim of newestClaims(claims).values()) {
    const group = claim.ledger?.messages[0]?.groupId;
    if (group === undefined) continue;
    const known = newestOfGroup.get(group);
    if (!known || createdAt(claim) > createdAt(known)) newestOfGroup.set(group, claim);
  }
  const here = new Set(inbox.map(({ id }) => id));
  const blocked = [...newestOfGroup].flatMap(([group, claim]) => {
    const head = claim.settled ? claim.ledger?.messages.find(({ id }) => isBack(claim, id)) : undefined;
    if (!head || here.has(head.id) || isUsedUp(head, maxReceives)) return [];
    const since = isoSeconds(claim.finishedAtMs ?? createdAt(claim));
    return [{ group: group.slice(0, 128), messageId: head.id, attempt: attemptOf(claim), since }];
  });
  if (blocked.length === 0) return undefined;
  return blocked
    .toSorted((a, b) => Date.parse(a.since) - Date.parse(b.since) || (a.group < b.group ? -1 : 1))
    .slice(0, MAX_BLOCKED_GROUPS);
}

function isBack(claim: Claim, messageId: string): boolean {
  const fate = fateIn(claim, messageId);
  return fate === 'released' || fate === 'rejected';
}

/** The next receive moves it to the dead-letter queue, which unblocks the group. */
function isUsedUp({ receiveCount }: LedgerMessage, maxReceives: number | undefined): boolean {
  return maxReceives !== undefined && receiveCount >= maxReceives;
}

const createdAt = remember(
  ({ job, startedAtMs }: Claim) => Date.parse(job.metadata.creationTimestamp ?? '') || (startedAtMs ?? 0),
);
