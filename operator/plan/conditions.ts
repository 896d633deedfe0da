import type { Condition } from '../api/batch-queue.ts';
import type { IntakeGate } from './intake-gate.ts';
import { isoSeconds } from './iso-time.ts';
import type { Problem, Snapshot } from './snapshot.ts';

/** Longest message of a condition, in characters, as `metav1.Condition` has it; a longer one would refuse the whole status. */
const MAX_MESSAGE = 32_768;

/** What a condition says, before it is known since when. */
export interface Verdict {
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  /** CamelCase, documented in docs/operations.md. */
  readonly reason: string;
  /** Stable between turns: no times, no counts that move. */
  readonly message: string;
}

/** What is said of the gate between the queue and its Jobs. */
export type GateVerdicts = Pick<IntakeGate, 'problem' | 'waitingFor' | 'isHeld'>;
const OPEN: GateVerdicts = { problem: undefined, waitingFor: undefined, isHeld: false };

/** Every condition of a BatchQueue, `Ready` first; all of them stand there from the first turn on. */
export function planConditions(snapshot: Snapshot, gate: GateVerdicts = OPEN): readonly Verdict[] {
  const reachable = queueReachable(snapshot);
  const template = templateValid(snapshot);
  const verdicts = [reachable, deadLetterConfigured(snapshot), template];
  return [
    ready(snapshot, [reachable, template], gate),
    ...verdicts,
    dispatching(snapshot, verdicts, gate),
    drained(snapshot),
  ];
}

/** Keeps the time of the last change of status, as the API conventions ask. */
export function conditionsFrom(
  verdicts: readonly Verdict[],
  previous: readonly Condition[],
  generation: number,
  nowMs: number,
): Condition[] {
  return verdicts.map((verdict) => {
    const before = previous.find(({ type }) => type === verdict.type);
    const unchanged = before?.status === verdict.status;
    return {
      ...verdict,
      message: verdict.message.slice(0, MAX_MESSAGE),
      observedGeneration: generation,
      lastTransitionTime: unchanged ? before.lastTransitionTime : isoSeconds(nowMs),
    };
  });
}

function ready(
  snapshot: Snapshot,
  needed: readonly Verdict[],
  { problem: blocked, waitingFor }: GateVerdicts,
): Verdict {
  const type = 'Ready';
  const problem = snapshot.problems[0];
  if (problem !== undefined) {
    return { type, status: 'False', reason: 'InvalidSpec', message: snapshot.problems.join('; ') };
  }
  const failing =
    needed.find(({ status }) => status === 'False') ?? needed.find(({ status }) => status === 'Unknown');
  if (failing) return { ...failing, type };
  const inUse = queueInUse(snapshot);
  if (inUse) return { type, status: 'False', ...inUse };
  if (blocked) return { type, status: 'False', ...blocked };
  if (snapshot.queue?.spec.suspend) {
    return { type, status: 'True', reason: 'Suspended', message: 'Intake is suspended by spec.suspend.' };
  }
  const waiting = waitingFor ? ` Waiting: ${waitingFor.reason}: ${waitingFor.message}` : '';
  return { type, status: 'True', reason: 'Running', message: `Messages are run as Jobs.${waiting}` };
}

function queueReachable({ observation, receiveProblem }: Snapshot): Verdict {
  const type = 'QueueReachable';
  if (observation.kind === 'reachable' && receiveProblem) return { type, status: 'False', ...receiveProblem };
  switch (observation.kind) {
    case 'unknown':
      return { type, status: 'Unknown', reason: 'Checking', message: 'The queue has not answered yet.' };
    case 'unreachable':
      return { type, status: 'False', reason: observation.reason, message: observation.message };
    case 'reachable':
      return { type, status: 'True', reason: 'Reachable', message: `Reading ${observation.attributes.arn}.` };
  }
}

function deadLetterConfigured({ observation }: Snapshot): Verdict {
  const type = 'DeadLetterConfigured';
  if (observation.kind !== 'reachable') {
    return { type, status: 'Unknown', reason: 'Checking', message: 'The queue has not answered yet.' };
  }
  const { deadLetterArn, maxReceiveCount } = observation.attributes;
  if (deadLetterArn === undefined) {
    const message =
      'The queue has no redrive policy: a message that keeps failing is tried again until its retention ends. ' +
      'Set RedrivePolicy on the queue, with maxReceiveCount of 3 or more.';
    return { type, status: 'False', reason: 'NoRedrivePolicy', message };
  }
  const message = `After ${maxReceiveCount ?? 'several'} receives SQS moves a message to ${deadLetterArn}.`;
  return { type, status: 'True', reason: 'RedrivePolicySet', message };
}

function templateValid({ templateCheck }: Snapshot): Verdict {
  const type = 'TemplateValid';
  switch (templateCheck.kind) {
    case 'unknown':
      return {
        type,
        status: 'Unknown',
        reason: 'Checking',
        message: 'The Job template has not been checked yet.',
      };
    case 'invalid':
      return {
        type,
        status: 'False',
        reason: templateCheck.reason ?? 'TemplateRefused',
        message: templateCheck.message,
      };
    case 'valid':
      return {
        type,
        status: 'True',
        reason: 'Accepted',
        message: 'The API server accepts Jobs of this template.',
      };
  }
}

function dispatching(
  snapshot: Snapshot,
  needed: readonly Verdict[],
  { problem, isHeld }: GateVerdicts,
): Verdict {
  const type = 'Dispatching';
  const spec = snapshot.queue?.spec;
  const stopped = stoppedBySpec(snapshot);
  if (stopped) return { type, status: 'False', ...stopped };
  const blocked = needed.find(
    (verdict) => verdict.status !== 'True' && verdict.type !== 'DeadLetterConfigured',
  );
  if (!spec || blocked) {
    const message = blocked ? `${blocked.type}: ${blocked.message}` : 'The spec is not valid.';
    return { type, status: 'False', reason: blocked?.reason ?? 'InvalidSpec', message };
  }
  const inUse = queueInUse(snapshot);
  if (inUse) return { type, status: 'False', ...inUse };
  if (isHeld && problem) return { type, status: 'False', ...problem };
  return {
    type,
    status: 'True',
    reason: 'Polling',
    message: 'The queue is polled while a Job may be started.',
  };
}

function queueInUse({ queueInUseBy }: Snapshot): Problem | undefined {
  if (queueInUseBy === undefined) return undefined;
  const message = `BatchQueue ${queueInUseBy}, which is older, reads the same SQS queue, and only one of them may.`;
  return { reason: 'QueueInUse', message };
}

/** What the user has stopped. */
function stoppedBySpec({ queue }: Snapshot): Problem | undefined {
  if (queue?.spec.suspend) return { reason: 'Suspended', message: 'Intake is suspended by spec.suspend.' };
  if (queue?.spec.maxConcurrentJobs !== 0) return undefined;
  return { reason: 'ScaledToZero', message: 'spec.maxConcurrentJobs is 0.' };
}

function drained({ claims, inbox, observation }: Snapshot): Verdict {
  const type = 'Drained';
  if (observation.kind !== 'reachable') {
    return { type, status: 'Unknown', reason: 'Checking', message: 'The queue has not answered yet.' };
  }
  const { visible, inFlight, delayed } = observation.attributes;
  const held = inbox.length > 0 || claims.some((claim) => !claim.settled);
  if (held || visible + inFlight + delayed > 0) {
    return {
      type,
      status: 'False',
      reason: 'MessagesLeft',
      message: 'The queue or its Jobs still hold messages.',
    };
  }
  return {
    type,
    status: 'True',
    reason: 'Empty',
    message: 'No message is in the queue and none is held by a Job.',
  };
}
