import { expect, test } from '@jest/globals';
import { deadLetterConfigured } from '../../../operator/plan/dead-letter-condition.ts';
import type { DeadLetterQueue, QueueAttributes } from '../../../operator/plan/snapshot.ts';
import {
  aQueue,
  aRevision,
  aSnapshot,
  DEAD_LETTER_ARN,
  NOW_MS,
  QUEUE,
  reachable,
  seenDeadLetters,
} from '../../support/builders.ts';

interface Case {
  readonly source?: Partial<QueueAttributes>;
  readonly dead?: DeadLetterQueue;
  /** Of the Jobs, in hours. */
  readonly deadline?: number;
}

function verdict({ source = {}, dead = seenDeadLetters(0), deadline }: Case) {
  const template = aQueue().spec.jobTemplate;
  const spec = deadline === undefined ? {} : { activeDeadlineSeconds: deadline * 3_600 };
  const queue = aQueue({ spec: { jobTemplate: { ...template, spec: { ...template.spec, ...spec } } } });
  return deadLetterConfigured(aSnapshot({ queue, observation: reachable(source, NOW_MS, dead) }));
}

const DAY = 86_400;

test.each<[string, string, string, Case]>([
  ['True RedrivePolicySet', 'After 4 receives', 'room for everything', {}],
  [
    'True RedrivePolicySet',
    'After 3 receives',
    'three receives for short Jobs',
    { source: { maxReceiveCount: 3 }, deadline: 12 },
  ],
  [
    'True RedrivePolicySet',
    'After several receives',
    'a policy without a number',
    { source: { maxReceiveCount: undefined } },
  ],
  [
    'True RedrivePolicySet',
    'sqs:GetQueueAttributes on it',
    'a dead-letter queue that may not be read',
    { dead: { kind: 'unseen' } },
  ],
  [
    'True RedrivePolicySet',
    'After 4 receives',
    'FIFO queues, which count anew',
    { source: { fifo: true }, dead: seenDeadLetters(0, { fifo: true, retentionSeconds: DAY }) },
  ],
  [
    'False NoRedrivePolicy',
    'Set RedrivePolicy on the queue',
    'no policy',
    { source: { deadLetterArn: undefined } },
  ],
  [
    'False DeadLetterQueueNotFound',
    'Create it',
    'a dead-letter queue that is gone',
    { dead: { kind: 'missing' } },
  ],
  [
    'False DeadLetterTypeMismatch',
    '-dead --attributes \'{"MessageRetentionPeriod":"1209600"}\' && aws sqs set-queue-attributes',
    'a FIFO dead-letter queue of a standard queue',
    { dead: seenDeadLetters(0, { fifo: true }) },
  ],
  [
    'False DeadLetterTypeMismatch',
    '-dead.fifo --attributes \'{"MessageRetentionPeriod":"1209600","FifoQueue":"true"}\' && aws sqs set-queue-attributes',
    'a standard dead-letter queue of a FIFO queue',
    { source: { fifo: true, arn: `${QUEUE.arn}.fifo` } },
  ],
  [
    'False DeadLetterRetentionTooShort',
    'Set MessageRetentionPeriod of the dead-letter queue above 345600, up to 1209600: aws sqs set-queue-attributes',
    "a dead-letter queue that keeps messages as long as its source, SQS's default",
    { dead: seenDeadLetters(0, { retentionSeconds: 4 * DAY }) },
  ],
  [
    'False DeadLetterRetentionTooShort',
    'of the queue below 1209600',
    'both as long as SQS can',
    { source: { retentionSeconds: 14 * DAY } },
  ],
  [
    'False MaxReceiveCountTooLow',
    'Set it to 3 or more: aws sqs set-queue-attributes',
    'one receive',
    { source: { maxReceiveCount: 1 }, deadline: 1 },
  ],
  [
    'False MaxReceiveCountTooLow',
    'maxReceiveCount is 2',
    'two receives, whatever the deadline',
    { source: { maxReceiveCount: 2 } },
  ],
  [
    'False NoRoomForLongJobs',
    'Set it to 4 or more, or spec.jobTemplate.spec.activeDeadlineSeconds to 43200 or less: aws sqs',
    'three receives for Jobs without a deadline',
    { source: { maxReceiveCount: 3 } },
  ],
  [
    'False NoRoomForLongJobs',
    'Set it to 4 or more',
    'a deadline of thirteen hours',
    { source: { maxReceiveCount: 3 }, deadline: 13 },
  ],
  [
    'False NoRoomForLongJobs',
    'Set it to 6 or more',
    'a deadline of two days',
    { source: { maxReceiveCount: 5 }, deadline: 48 },
  ],
  [
    'True RedrivePolicySet',
    'After 6 receives',
    'two days and six receives',
    { source: { maxReceiveCount: 6 }, deadline: 48 },
  ],
])('DeadLetterConfigured is %s (%s) with %s', (told, words, _, parts) => {
  const { status, reason, message, holdsIntake } = verdict(parts);
  expect(`${status} ${reason}`).toBe(told);
  expect(message).toContain(words);
  expect(holdsIntake).toBe(false);
});

test('a remedy is a command that can be pasted', () => {
  const { message } = verdict({ source: { maxReceiveCount: 2 } });
  const policy = {
    RedrivePolicy: JSON.stringify({ deadLetterTargetArn: DEAD_LETTER_ARN, maxReceiveCount: '5' }),
  };
  expect(message).toContain(
    `aws sqs set-queue-attributes --region us-east-1 --queue-url ${QUEUE.url} --attributes '${JSON.stringify(policy)}'`,
  );
  const { message: two } = verdict({ source: { deadLetterArn: undefined } });
  expect(two).toContain(
    `aws sqs create-queue --region us-east-1 --queue-name ${QUEUE.arn.split(':').at(-1)}-dead `,
  );
  expect(two).toContain(`${QUEUE.arn}-dead`);
});

test('that rejected messages cannot be copied is told while they should be', () => {
  const copying = { reason: 'DeadLetterAccessDenied', message: 'Allow it.' };
  const rights = { isTried: true, missing: undefined, copying };
  const reasonWith = (sendRejected: boolean) => {
    const queue = aQueue({ spec: { deadLetter: { sendRejected } } });
    return deadLetterConfigured(aSnapshot({ queue, observation: reachable(), rights })).reason;
  };
  expect([reasonWith(true), reasonWith(false)]).toEqual(['DeadLetterAccessDenied', 'RedrivePolicySet']);
});

test('everything that is wrong is told, the worst in the reason', () => {
  const { reason, message } = verdict({
    source: { maxReceiveCount: 1 },
    dead: seenDeadLetters(0, { retentionSeconds: DAY }),
  });
  expect(reason).toBe('DeadLetterRetentionTooShort');
  expect(message).toContain('maxReceiveCount is 1');
});

test('what counts is the deadline of the Jobs that are made, also under a pinned revision', () => {
  const observation = reachable({ maxReceiveCount: 3 });
  const template = aQueue().spec.jobTemplate;
  const short = { ...template, spec: { ...template.spec, activeDeadlineSeconds: 60 } };
  const queue = aQueue({ spec: { jobTemplate: short, revision: 1 } });
  const verdictUnder = (revision: number) => {
    const revisions = [aRevision(aQueue(), 1), aRevision(aQueue({ spec: { jobTemplate: short } }), 2)];
    const pinned = { ...queue, spec: { ...queue.spec, revision } };
    return deadLetterConfigured(aSnapshot({ queue: pinned, revisions, observation })).reason;
  };
  expect([verdictUnder(1), verdictUnder(2)]).toEqual(['NoRoomForLongJobs', 'RedrivePolicySet']);
});

test('nothing is known of a queue that does not answer', () => {
  const verdictOf = deadLetterConfigured(aSnapshot({ observation: { kind: 'unknown' } }));
  expect(verdictOf).toMatchObject({ status: 'Unknown', reason: 'Checking' });
});
