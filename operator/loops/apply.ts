import type { Action } from '../plan/plan.ts';
import type { Right } from '../ports.ts';
import { adopt, claim, listJobs, rerun } from './claiming.ts';
import { discard, release } from './giving-back.ts';
import type { Subject, World } from './interpreter.ts';
import { sweepPayloads } from './payload-secrets.ts';
import { checkTemplate, createRevision, deleteRevision, keepImages, renumberRevision } from './revising.ts';
import { deleteJob, settle, stopPods } from './settling.ts';
import { readStartEvents } from './start-events.ts';
import { endStuckJob, markNeverStarted } from './stuck-jobs.ts';

/**
 * Carries out one action. Rejects when it could not be done; the next plan, made from the world as it is then, says
 * what is left. Every step leaves the world in a state that a new process continues from. `NotLeader`: it was not begun.
 */
export async function applyAction(action: Action, subject: Subject, world: World): Promise<void> {
  const right = rightTo(action);
  if (right !== undefined) world.fence?.permit(right);
  switch (action.kind) {
    case 'createRevision':
      return createRevision(action.object, subject, world);
    case 'renumberRevision':
      return renumberRevision(action, subject, world);
    case 'deleteRevision':
      return deleteRevision(action.revision.object, subject, world);
    case 'keepImages':
      return keepImages(action, world);
    case 'checkTemplate':
      return checkTemplate(action, subject, world);
    case 'claim':
      return claim(action, subject, world);
    case 'rerun':
      return rerun(action, subject, world);
    case 'listJobs':
      return listJobs(subject, world);
    case 'sweepPayloads':
      return sweepPayloads(subject, world);
    case 'adopt':
      return adopt(action, subject, world);
    case 'discard':
      return discard(action.message, subject, world);
    case 'release':
      return release(action, subject, world);
    case 'forget':
      return subject.session.intake.remove(action.message);
    case 'settle':
      return settle(action, subject, world);
    case 'readStartEvents':
      return readStartEvents(action, subject, world);
    case 'endStuckJob':
      return endStuckJob(action, subject, world);
    case 'markNeverStarted':
      return markNeverStarted(action, world);
    case 'stopPods':
      return stopPods(action.claim, subject, world);
    case 'deleteJob':
      return deleteJob(action.claim, subject, world);
  }
}

/** Asked before an action begins as well as when it sends something: half of one would be begun in vain. */
function rightTo({ kind }: Action): Right | undefined {
  switch (kind) {
    case 'claim':
    case 'rerun':
      return 'claim';
    // These only read, or forget.
    case 'listJobs':
    case 'readStartEvents':
    case 'forget':
      return undefined;
    default:
      return 'lead';
  }
}
