import type { Condition } from '../api/batch-queue.ts';
import { deadLetterConfigured } from './dead-letter-condition.ts';
import type { IntakeGate } from './intake-gate.ts';
import { isoSeconds } from './iso-time.ts';
import { preflightConditions, templateValid } from './job-conditions.ts';
import type { Problem } from './problem.ts';
import { drained, queueReachable } from './queue-conditions.ts';
import type { Snapshot } from './snapshot.ts';
import { isFalse, isTrue, type Verdict } from './verdict.ts';

/** Longest message of a condition, in characters, as `metav1.Condition` has it; a longer one would refuse the whole status. */
const MAX_MESSAGE = 32_768;

/** What is said of the gate between the queue and its Jobs. */
export type GateVerdicts = Pick<IntakeGate, 'problem' | 'waitingFor' | 'isHeld'>;
const OPEN: GateVerdicts = { problem: undefined, waitingFor: undefined, isHeld: false };

/** Every condition of a BatchQueue, `Ready` first; all of them stand there from the first turn on. */
export function planConditions(snapshot: Snapshot, gate: GateVerdicts = OPEN): readonly Verdict[] {
  const verdicts = [
    queueReachable(snapshot),
    deadLetterConfigured(snapshot),
    ...preflightConditions(snapshot, gate.problem ?? gate.waitingFor),
    templateValid(snapshot),
  ];
  const holder = firstHolder(verdicts);
  return [ready(snapshot, holder, gate), ...verdicts, dispatching(snapshot, holder, gate), drained(snapshot)];
}

/** Keeps the time of the last change of status, as the API conventions ask. */
export function conditionsFrom(
  verdicts: readonly Verdict[],
  previous: readonly Condition[],
  generation: number,
  nowMs: number,
): Condition[] {
  return verdicts.map(({ type, status, reason, message }) => {
    const before = previous.find((condition) => condition.type === type);
    const unchanged = before?.status === status;
    return {
      type,
      status,
      reason,
      message: message.slice(0, MAX_MESSAGE),
      observedGeneration: generation,
      lastTransitionTime: unchanged ? before.lastTransitionTime : isoSeconds(nowMs),
    };
  });
}

/**
 * Of the conditions that hold intake, the one to blame: what is False before what is not known yet, and the account
 * before everything else, because nothing can be asked without it.
 */
function firstHolder(verdicts: readonly Verdict[]): Verdict | undefined {
  const account = verdicts.filter(({ type }) => type === 'ServiceAccountReady');
  const holders = [...account, ...verdicts].filter(({ holdsIntake }) => holdsIntake);
  return holders.find(({ status }) => status === 'False') ?? holders[0];
}

function ready(
  snapshot: Snapshot,
  holder: Verdict | undefined,
  { problem: blocked, waitingFor }: GateVerdicts,
): Verdict {
  const type = 'Ready';
  if (snapshot.problems.length > 0)
    return isFalse(type, { reason: 'InvalidSpec', message: snapshot.problems.join('; ') });
  if (holder) return { ...holder, type };
  const problem = queueInUse(snapshot) ?? blocked;
  if (problem) return isFalse(type, problem);
  if (snapshot.queue?.spec.suspend) return isTrue(type, 'Suspended', 'Intake is suspended by spec.suspend.');
  const waiting = waitingFor ? ` Waiting: ${waitingFor.reason}: ${waitingFor.message}` : '';
  return isTrue(type, 'Running', `Messages are run as Jobs.${waiting}`);
}

function dispatching(
  snapshot: Snapshot,
  holder: Verdict | undefined,
  { problem, isHeld }: GateVerdicts,
): Verdict {
  const type = 'Dispatching';
  const stopped = stoppedBySpec(snapshot);
  if (stopped) return isFalse(type, stopped);
  if (holder) {
    const { reason, message } = holder;
    return isFalse(type, { reason, message: `${holder.type}: ${message}` });
  }
  if (!snapshot.queue) return isFalse(type, { reason: 'InvalidSpec', message: 'The spec is not valid.' });
  const blocked = queueInUse(snapshot) ?? (isHeld ? problem : undefined);
  if (blocked) return isFalse(type, blocked);
  return isTrue(type, 'Polling', 'The queue is polled while a Job may be started.');
}

function queueInUse({ queueInUseBy }: Snapshot): Problem | undefined {
  if (queueInUseBy === undefined) return undefined;
  const message =
    `BatchQueue ${queueInUseBy}, which is older, reads the same SQS queue, and only one of them may. ` +
    'Delete one of the two, or name another queue in spec.queue.url.';
  return { reason: 'QueueInUse', message };
}

/** What the user has stopped. */
function stoppedBySpec({ queue }: Snapshot): Problem | undefined {
  if (queue?.spec.suspend) return { reason: 'Suspended', message: 'Intake is suspended by spec.suspend.' };
  if (queue?.spec.maxConcurrentJobs !== 0) return undefined;
  return { reason: 'ScaledToZero', message: 'spec.maxConcurrentJobs is 0.' };
}
