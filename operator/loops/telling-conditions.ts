import type { Condition } from '../api/batch-queue.ts';
import { conditionEvents } from '../plan/condition-events.ts';
import { type Subject, tell, type World } from './interpreter.ts';

/** One event when a condition begins to say that something is wrong, and one when it is in order again. */
export function tellConditions(
  before: readonly Condition[] = [],
  after: readonly Condition[] = [],
  subject: Subject,
  world: World,
): void {
  for (const event of conditionEvents(before, after)) tell(subject, world, event);
}
