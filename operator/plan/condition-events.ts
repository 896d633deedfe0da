import type { Condition } from '../api/batch-queue.ts';
import { CHECK_CONDITIONS } from './preflight.ts';

/** What is told when a condition changes; see `UserEvent`. */
export interface ConditionEvent {
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly note: string;
}

/** The others sum up, or tell of every day's work. */
const TOLD: ReadonlySet<string> = new Set([
  'QueueReachable',
  'DeadLetterConfigured',
  ...CHECK_CONDITIONS.map(([, type]) => type),
  'TemplateValid',
]);

/**
 * One event when a condition begins to say that something is wrong, one for another reason, and one when it is in order
 * again. Compared with the last status that stands there, so that a new process repeats nothing.
 */
export function conditionEvents(
  before: readonly Condition[],
  after: readonly Condition[],
): readonly ConditionEvent[] {
  return after.flatMap((condition): ConditionEvent[] => {
    const { type, status, reason, message } = condition;
    const earlier = before.find((other) => other.type === type);
    const isSame = earlier?.status === status && earlier.reason === reason;
    if (!TOLD.has(type) || isSame || reason === 'Checking') return [];
    if (status !== 'True') return [{ type: 'Warning', reason, note: `${type}: ${message}` }];
    const wasWrong = earlier && earlier.status !== 'True' && earlier.reason !== 'Checking';
    return wasWrong ? [{ type: 'Normal', reason: type, note: message }] : [];
  });
}
