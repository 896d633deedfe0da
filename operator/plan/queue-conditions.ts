import type { Snapshot } from './snapshot.ts';
import { checking, holding, isFalse, isTrue, type Verdict } from './verdict.ts';

/** What is said of the SQS queue itself. */

/** Said of everything that only the queue can tell. */
export const NO_ANSWER = 'The queue has not answered yet.';

export function queueReachable({ observation, receiveProblem, rights }: Snapshot): Verdict {
  const type = 'QueueReachable';
  const problem = receiveProblem ?? rights.missing;
  if (observation.kind === 'reachable' && problem) return holding(type, problem);
  if (observation.kind === 'reachable' && !rights.isTried)
    return { ...checking(type, 'The permissions on the queue are being tried.'), holdsIntake: true };
  switch (observation.kind) {
    case 'unknown':
      return { ...checking(type, NO_ANSWER), holdsIntake: true };
    case 'unreachable':
      return holding(type, observation);
    case 'reachable':
      return isTrue(type, 'Reachable', `Reading ${observation.attributes.arn}.`);
  }
}

export function drained({ claims, inbox, observation }: Snapshot): Verdict {
  const type = 'Drained';
  if (observation.kind !== 'reachable') return checking(type, NO_ANSWER);
  const { visible, inFlight, delayed } = observation.attributes;
  const held = inbox.length > 0 || claims.some((claim) => !claim.settled);
  if (held || visible + inFlight + delayed > 0) {
    const message = 'The queue or its Jobs still hold messages.';
    return isFalse(type, { reason: 'MessagesLeft', message });
  }
  return isTrue(type, 'Empty', 'No message is in the queue and none is held by a Job.');
}
