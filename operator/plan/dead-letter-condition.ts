import { deadLetterUrl } from '../api/queue-url.ts';
import { createDeadLetterQueue, redrivePolicy, setQueueAttributes } from './aws-command.ts';
import { MAX_VISIBILITY_SECONDS } from './backoff.ts';
import type { Problem } from './problem.ts';
import { NO_ANSWER } from './queue-conditions.ts';
import { currentRevision } from './revision.ts';
import type { QueueAttributes, QueueObservation, Snapshot } from './snapshot.ts';
import { checking, isFalse, isTrue, type Verdict } from './verdict.ts';

/** The first run, one receive that an outage or a lost lease costs, and one more run. */
const LEAST_RECEIVES = 3;
/** What is proposed where there is no policy yet: room for two more. */
const USUAL_RECEIVES = 5;
/** The longest that SQS keeps a message, in seconds. */
const LONGEST_RETENTION_SECONDS = 1_209_600;

type Reachable = Extract<QueueObservation, { kind: 'reachable' }>;

/**
 * Whether what keeps failing ends up in a dead-letter queue, not before its time, and long enough to be looked at. Never
 * holds intake: messages run all the same, only not safely.
 */
export function deadLetterConfigured({ observation, queue, revisions, rights }: Snapshot): Verdict {
  const type = 'DeadLetterConfigured';
  if (observation.kind !== 'reachable') return checking(type, NO_ANSWER);
  const { attributes } = observation;
  const url = queue?.spec.queue.url ?? '';
  if (attributes.deadLetterArn === undefined) return isFalse(type, noRedrivePolicy(url, attributes));
  const running = queue && (currentRevision(queue, revisions)?.template ?? queue.spec);
  const deadline = running?.jobTemplate.spec.activeDeadlineSeconds;
  const problems = [
    queue?.spec.deadLetter.sendRejected === true ? rights.copying : undefined,
    ...queueProblems(url, observation),
    tooFewReceives(url, attributes),
    noRoomForLongJobs(url, attributes, deadline),
  ].filter((problem) => problem !== undefined);
  const [first] = problems;
  const message = problems.map((problem) => problem.message).join(' ');
  if (first) return isFalse(type, { reason: first.reason, message });
  return isTrue(type, 'RedrivePolicySet', wellConfigured(observation));
}

function noRedrivePolicy(url: string, attributes: QueueAttributes): Problem {
  const message =
    'The queue has no redrive policy: a message that keeps failing is tried again until its retention ends. ' +
    `Set RedrivePolicy on the queue, with maxReceiveCount of ${LEAST_RECEIVES} or more: ${newDeadLetterQueue(url, attributes)}`;
  return { reason: 'NoRedrivePolicy', message };
}

/** The commands that make a dead-letter queue of the queue's type, and name it. */
function newDeadLetterQueue(url: string, attributes: QueueAttributes): string {
  const { arn, maxReceiveCount = USUAL_RECEIVES } = attributes;
  const deadLetterArn = arn.replace(/(\.fifo)?$/, '-dead$1');
  const set = { RedrivePolicy: redrivePolicy(deadLetterArn, maxReceiveCount) };
  return `${createDeadLetterQueue(deadLetterArn)} && ${setQueueAttributes(url, arn, set)}`;
}

/** The command that gives the queue another number of receives. */
function setReceives(url: string, { arn, deadLetterArn = '' }: QueueAttributes, receives: number): string {
  return setQueueAttributes(url, arn, { RedrivePolicy: redrivePolicy(deadLetterArn, receives) });
}

function wellConfigured({ attributes, deadLetter }: Reachable): string {
  const { maxReceiveCount = 'several', deadLetterArn } = attributes;
  const moved = `After ${maxReceiveCount} receives SQS moves a message to ${deadLetterArn}.`;
  if (deadLetter?.kind !== 'unseen') return moved;
  return `${moved} That queue could not be looked at; sqs:GetQueueAttributes on it shows its depth, and whether it keeps messages for long enough.`;
}

/** What the dead-letter queue itself is like. */
function queueProblems(url: string, { attributes, deadLetter }: Reachable): readonly Problem[] {
  const { arn, deadLetterArn = '', fifo, retentionSeconds } = attributes;
  if (deadLetter?.kind === 'missing') {
    const message = `The dead-letter queue ${deadLetterArn} does not exist: SQS moves no message there. Create it (${createDeadLetterQueue(deadLetterArn)}), or correct the queue's RedrivePolicy.`;
    return [{ reason: 'DeadLetterQueueNotFound', message }];
  }
  if (deadLetter?.kind !== 'seen') return [];
  if (deadLetter.fifo !== fifo) {
    const kind = fifo ? 'FIFO' : 'standard';
    const message = `The dead-letter queue ${deadLetterArn} is not a ${kind} queue as its source is. Name one that is in the queue's RedrivePolicy: ${newDeadLetterQueue(url, attributes)}`;
    return [{ reason: 'DeadLetterTypeMismatch', message }];
  }
  // A FIFO queue counts anew from the move; a standard queue from when the message was first sent.
  if (fifo || deadLetter.retentionSeconds > retentionSeconds) return [];
  const longest = { MessageRetentionPeriod: String(LONGEST_RETENTION_SECONDS) };
  const remedy =
    retentionSeconds < LONGEST_RETENTION_SECONDS
      ? `Set MessageRetentionPeriod of the dead-letter queue above ${retentionSeconds}, up to ${LONGEST_RETENTION_SECONDS}: ${setQueueAttributes(deadLetterUrl(url, deadLetterArn), arn, longest)}`
      : `Set MessageRetentionPeriod of the queue below ${LONGEST_RETENTION_SECONDS}, which the dead-letter queue may have: ${setQueueAttributes(url, arn, { MessageRetentionPeriod: '345600' })}`;
  const message =
    `The dead-letter queue keeps messages for ${deadLetter.retentionSeconds} s and the queue for ${retentionSeconds} s, both counted from when a message was sent: ` +
    `one that fails late is gone before anybody sees it. ${remedy}`;
  return [{ reason: 'DeadLetterRetentionTooShort', message }];
}

function tooFewReceives(url: string, attributes: QueueAttributes): Problem | undefined {
  const { maxReceiveCount } = attributes;
  if (maxReceiveCount === undefined || maxReceiveCount >= LEAST_RECEIVES) return undefined;
  const message =
    `maxReceiveCount is ${maxReceiveCount}: an operator outage that outlasts a lease costs a receive, and then a message is dead-lettered without a second run, or while its Job runs. ` +
    `Set it to ${LEAST_RECEIVES} or more: ${setReceives(url, attributes, USUAL_RECEIVES)}`;
  return { reason: 'MaxReceiveCountTooLow', message };
}

/** Work that lasts longer than SQS's twelve hours is delivered once more, and adopted, for every twelve hours. */
function noRoomForLongJobs(
  url: string,
  attributes: QueueAttributes,
  deadlineSeconds: number | undefined,
): Problem | undefined {
  const { maxReceiveCount } = attributes;
  if (maxReceiveCount === undefined || maxReceiveCount < LEAST_RECEIVES) return undefined;
  const lapses = deadlineSeconds === undefined ? 1 : Math.ceil(deadlineSeconds / MAX_VISIBILITY_SECONDS) - 1;
  const needed = LEAST_RECEIVES + lapses;
  if (maxReceiveCount >= needed) return undefined;
  const long =
    deadlineSeconds === undefined
      ? 'Jobs have no activeDeadlineSeconds and may run for longer than twelve hours'
      : `Jobs may run for ${deadlineSeconds} s`;
  const message =
    `${long}, and every twelve hours SQS delivers their messages again, which costs a receive: maxReceiveCount ${maxReceiveCount} leaves no room for that. ` +
    `Set it to ${needed} or more, or spec.jobTemplate.spec.activeDeadlineSeconds to ${MAX_VISIBILITY_SECONDS} or less: ${setReceives(url, attributes, needed)}`;
  return { reason: 'NoRoomForLongJobs', message };
}
