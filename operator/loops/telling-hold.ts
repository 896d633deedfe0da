import { holdProblem, type IntakeHold } from '../plan/intake-hold.ts';
import { type Subject, tell, type World } from './interpreter.ts';

/** One event when intake begins to be held, one for another reason, and one when it is open again. */
export function tellHold(
  before: IntakeHold | undefined,
  after: IntakeHold | undefined,
  subject: Subject,
  world: World,
): void {
  if (before?.reason === after?.reason) return;
  if (!after) {
    world.log.info({ queue: subject.name, reason: before?.reason }, 'intake is open again');
    tell(subject, world, { reason: 'IntakeResumed', note: 'Messages are received again.' });
    return;
  }
  const { reason, message } = holdProblem(after);
  world.log.warn({ queue: subject.name, reason, error: message }, 'intake is held');
  tell(subject, world, { type: 'Warning', reason: 'IntakeHeld', note: `${reason}: ${message}` });
}
