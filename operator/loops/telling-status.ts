import type { BatchQueueStatus } from '../api/batch-queue.ts';
import { conditionEvents } from '../plan/condition-events.ts';
import { type Subject, tell, type World } from './interpreter.ts';

/**
 * What of a change of status is worth an event: a condition that begins to say that something is wrong, one that is in
 * order again, and another revision that is pinned. Every other change of status has events of its own.
 */
export function tellStatus(
  before: BatchQueueStatus,
  after: BatchQueueStatus | undefined,
  subject: Subject,
  world: World,
): void {
  if (!after) return;
  for (const event of conditionEvents(before.conditions ?? [], after.conditions ?? []))
    tell(subject, world, event);
  if (after.revision && before.revision?.pinned !== after.revision.pinned)
    tellPin(after.revision, subject, world);
}

/** One event when another revision is pinned, and one when none is any more: each is a roll-out. */
function tellPin(
  { current, pinned }: NonNullable<BatchQueueStatus['revision']>,
  subject: Subject,
  world: World,
): void {
  const note =
    pinned === undefined
      ? `New Jobs run revision ${current}, the template in the spec; no revision is pinned any more.`
      : `New Jobs run revision ${current}, which spec.revision pins.`;
  tell(subject, world, { reason: pinned === undefined ? 'RevisionUnpinned' : 'RevisionPinned', note });
}
