import { groupOf } from '../plan/ledger.ts';
import type { Action, ClaimAction } from '../plan/plan.ts';
import { applyAction } from './apply.ts';
import type { Subject, World } from './interpreter.ts';
import type { QueueSession } from './queue-session.ts';

/** How many other actions than claims are under way at once. */
const PARALLEL_ACTIONS = 48;
/** How long a turn waits for the Jobs that are being created, in milliseconds: what else happens is looked at then. */
const CLAIM_PATIENCE_MS = 1_000;

/**
 * Carries out a plan, but for claims, which it begins; returns what failed. Actions are independent, so one failing spoils
 * only itself.
 */
export async function applyPlan(
  actions: readonly Action[],
  subject: Subject,
  world: World,
): Promise<readonly unknown[]> {
  const failures: unknown[] = [];
  const waiting = actions.filter((action) => !isLoneClaim(action));
  for (const action of actions.filter(isLoneClaim))
    subject.session.claimsUnderWay.start(action, () => applyAction(action, subject, world));
  const work = async () => {
    for (let action = waiting.shift(); action; action = waiting.shift()) {
      await applyAction(action, subject, world).catch((error: unknown) => failures.push(error));
    }
  };
  await Promise.all(Array.from({ length: Math.min(PARALLEL_ACTIONS, waiting.length) }, work));
  return failures;
}

/** A claim that no later one depends on: in a FIFO group the next plan must know what became of it. */
function isLoneClaim(action: Action): action is ClaimAction {
  return action.kind === 'claim' && action.messages.every((message) => groupOf(message) === undefined);
}

/**
 * While Jobs are being created nothing but a message is worth a plan at once: a burst would be planned anew with each
 * Job that stands. Everything else waits a moment, and none waits for a create that is never answered.
 */
export async function untilNews(
  session: QueueSession,
  arrival: Promise<void>,
  { clock }: World,
): Promise<void> {
  if (session.claimsUnderWay.isIdle()) return;
  const patience = Promise.withResolvers<void>();
  const cancel = clock.after(CLAIM_PATIENCE_MS, patience.resolve);
  await Promise.race([session.claimsUnderWay.untilIdle(), arrival, patience.promise]);
  cancel();
}
