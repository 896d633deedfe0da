import { groupOf } from '../plan/ledger.ts';
import type { Action, ClaimAction, Settle } from '../plan/plan.ts';
import { applyAction } from './apply.ts';
import type { Subject, World } from './interpreter.ts';
import type { QueueSession } from './queue-session.ts';

/** How many of the actions that a turn waits for are under way at once. */
const PARALLEL_ACTIONS = 48;
/** How long a turn waits for what it has only begun, in milliseconds: what else happens is looked at then. */
const PATIENCE_MS = 1_000;

/**
 * Carries out a plan, but for claims and settlements, which it begins; returns what failed. Actions are independent, so
 * one failing spoils only itself.
 */
export async function applyPlan(
  actions: readonly Action[],
  subject: Subject,
  world: World,
): Promise<readonly unknown[]> {
  const { claimsUnderWay, settlementsUnderWay } = subject.session;
  const failures: unknown[] = [];
  const waiting: Action[] = [];
  for (const action of actions) {
    const carryOut = () => carryOutOne(action, subject, world);
    if (isLoneClaim(action)) claimsUnderWay.start(action.job.metadata.name, action, carryOut);
    else if (isLoneSettlement(action))
      settlementsUnderWay.start(action.claim.job.metadata.name, action, carryOut);
    else waiting.push(action);
  }
  const work = async () => {
    for (let action = waiting.shift(); action; action = waiting.shift()) {
      await carryOutOne(action, subject, world).catch((error: unknown) => failures.push(error));
    }
  };
  await Promise.all(Array.from({ length: Math.min(PARALLEL_ACTIONS, waiting.length) }, work));
  return failures;
}

/** What tells SQS or a Job of messages is not told with every turn when that fails again and again. */
async function carryOutOne(action: Action, subject: Subject, world: World): Promise<void> {
  const work = () => applyAction(action, subject, world);
  if (action.kind !== 'settle' && action.kind !== 'adopt') return await work();
  await subject.session.repeatedFailures.try(`${action.kind} ${action.claim.job.metadata.name}`, work);
}

/** A claim that no later one depends on: in a FIFO group the next plan must know what became of it. */
function isLoneClaim(action: Action): action is ClaimAction {
  return action.kind === 'claim' && action.messages.every((message) => groupOf(message) === undefined);
}

/** As for claims. */
function isLoneSettlement(action: Action): action is Settle {
  return action.kind === 'settle' && action.verdicts.every(({ message }) => message.groupId === undefined);
}

/**
 * While Jobs are being created and settled nothing but a message is worth a plan at once: a burst would be planned anew
 * with each of them. Everything else waits a moment, and none waits for a request that is never answered.
 */
export async function untilNews(
  { claimsUnderWay, settlementsUnderWay }: QueueSession,
  arrival: Promise<void>,
  { clock }: World,
): Promise<void> {
  if (claimsUnderWay.isIdle() && settlementsUnderWay.isIdle()) return;
  const patience = Promise.withResolvers<void>();
  const cancel = clock.after(PATIENCE_MS, patience.resolve);
  const done = Promise.all([claimsUnderWay.untilIdle(), settlementsUnderWay.untilIdle()]);
  await Promise.race([done, arrival, patience.promise]);
  cancel();
}
