import type { SubjectName } from './subject.ts';

/** Something that an emulator or a model does otherwise than AWS, which is what the case's `aws` says. */
export interface Deviation {
  readonly subject: SubjectName;
  readonly case: string;
  /** What it does, and what that hides from the tests that use it. */
  readonly what: string;
  /** What is observed instead. The suite demands exactly this, so that a row goes when its emulator is mended. */
  readonly observed: unknown;
}

const NO_SYSTEM_ATTRIBUTES =
  'Ignores MessageSystemAttributeNames and returns no system attributes, receive counts and groups among them.';
const NO_REPETITION = 'Ignores ReceiveRequestAttemptId: what a lost answer held is locked until its timeout.';
const NO_SOURCE = 'Leaves out DeadLetterQueueSourceArn.';
const OWN_DEDUPLICATION_ID = 'Keeps the deduplication id at the redrive of a FIFO message.';
const DELETES_LATE = 'Deletes with an expired handle on FIFO queues: a delete that came too late looks done.';

export const DEVIATIONS: readonly Deviation[] = [
  {
    subject: 'fauxqs',
    case: 'of two long polls the one that gets nothing waits on',
    what: 'Wakes every long poll of a queue at each message: the ones that get nothing come back empty at once.',
    observed: [
      { messages: 0, waited: false },
      { messages: 1, waited: false },
    ],
  },
  {
    subject: 'fauxqs',
    case: 'what is no receipt handle is refused, in a delete as in a renewal',
    what: 'Deletes with any handle with success.',
    observed: { deleted: ['done'], renewed: ['LeaseLost (lost)'] },
  },
  {
    subject: 'fauxqs',
    case: 'of a batch the entries that SQS refuses fail, and no others',
    what: 'Deletes with any handle with success, in a batch as well.',
    observed: {
      renewed: [...Array<string>(11).fill('done'), 'LeaseLost (lost)'],
      deleted: Array<string>(12).fill('done'),
      left: 0,
    },
  },
  {
    subject: 'fauxqs',
    case: 'twelve hours are counted from the receive: beyond them SQS refuses, it does not shorten',
    what: 'Has no ceiling of twelve hours.',
    observed: { beyond: ['done'], within: ['done'] },
  },
  {
    subject: 'fauxqs',
    case: 'FIFO: one receive may bring several messages of a group, in order',
    what: 'Brings one message of a group per receive.',
    observed: ['1'],
  },
  {
    subject: 'fauxqs',
    case: 'FIFO: a message in flight hides itself and what follows, not what comes before it',
    what: 'Brings one message of a group per receive.',
    observed: { taken: 1, before: true, itself: false, after: false },
  },
  {
    subject: 'fauxqs',
    case: 'FIFO: a delete that comes after the timeout is refused, and the message comes again',
    what: DELETES_LATE,
    observed: { deleted: ['done'], again: [] },
  },
  {
    subject: 'fauxqs',
    case: 'FIFO: a receive that is repeated with its id brings the same messages and handles',
    what: NO_REPETITION,
    observed: { first: 1, second: 0, same: false },
  },
  {
    subject: 'fauxqs',
    case: 'a body with characters above U+FFFF arrives as it was sent',
    what: 'Refuses characters above U+FFFF, emoji among them.',
    observed: 'refused',
  },
  {
    subject: 'fauxqs',
    case: 'the trace header of a message arrives',
    what: 'Drops AWSTraceHeader.',
    observed: undefined,
  },
  {
    subject: 'fauxqs',
    case: 'the message group of a message in a standard queue arrives, and locks nothing',
    what: 'Drops the group of a message in a standard queue: nothing of fair queues.',
    observed: [undefined, undefined],
  },
  {
    subject: 'fauxqs',
    case: 'a message in the dead-letter queue keeps its id and its count and tells where it comes from',
    what: `${NO_SOURCE} Counts the receive at which it moved.`,
    observed: { sameId: true, receiveCount: 3, source: false, attribute: 'blue' },
  },
  {
    subject: 'fauxqs',
    case: 'FIFO: a message in the dead-letter queue keeps its group, and its id is its deduplication id',
    what: OWN_DEDUPLICATION_ID,
    observed: { group: 'a', deduplicationIdIsId: false },
  },

  {
    subject: 'local-aws-sqs',
    case: 'a message wakes a long poll',
    what: 'Answers a long poll only at its end.',
    observed: { messages: 1, waited: true },
  },
  {
    subject: 'local-aws-sqs',
    case: 'a message that becomes visible again wakes a long poll',
    what: 'Answers a long poll only at its end.',
    observed: { messages: 1, waited: true },
  },
  {
    subject: 'local-aws-sqs',
    case: 'of two long polls the one that gets nothing waits on',
    what: 'Answers a long poll only at its end.',
    observed: [
      { messages: 0, waited: true },
      { messages: 1, waited: true },
    ],
  },
  {
    subject: 'local-aws-sqs',
    case: 'every receive is counted and has a receipt handle of its own',
    what: NO_SYSTEM_ATTRIBUTES,
    observed: { ids: 1, handles: 3, counts: [1, 1, 1] },
  },
  {
    subject: 'local-aws-sqs',
    case: 'counts tell what is visible and what is in flight, in the end',
    what: 'Counts messages in flight as visible too.',
    observed: { visible: 3, inFlight: 1 },
  },
  {
    subject: 'local-aws-sqs',
    case: 'twelve hours are counted from the receive: beyond them SQS refuses, it does not shorten',
    what: 'Has no ceiling of twelve hours.',
    observed: { beyond: ['done'], within: ['done'] },
  },
  {
    subject: 'local-aws-sqs',
    case: 'FIFO: a message in flight locks its group, and no other group',
    what: 'Does not lock groups: a second receive brings later messages of a group that is in flight.',
    observed: { first: ['1'], second: ['2', 'x'], third: [] },
  },
  {
    subject: 'local-aws-sqs',
    case: 'FIFO: a message in flight hides itself and what follows, not what comes before it',
    what: 'Does not lock groups: what follows a message in flight is delivered.',
    observed: { taken: 3, before: true, itself: false, after: true },
  },
  {
    subject: 'local-aws-sqs',
    case: 'FIFO: messages tell their group, their deduplication id and their place in the order',
    what: NO_SYSTEM_ATTRIBUTES,
    observed: { groups: [undefined], deduplicationIds: Array(6).fill(undefined), ascending: false },
  },
  {
    subject: 'local-aws-sqs',
    case: 'FIFO: a receive that is repeated with its id brings the same messages and handles',
    what: NO_REPETITION,
    observed: { first: 1, second: 0, same: false },
  },
  {
    subject: 'local-aws-sqs',
    case: 'an empty body and a control character are refused',
    what: 'Takes control characters.',
    observed: { empty: 'refused', control: 'accepted' },
  },
  {
    subject: 'local-aws-sqs',
    case: 'every message tells who sent it and when, and how often and when it was first received',
    what: NO_SYSTEM_ATTRIBUTES,
    observed: { names: [], sentInTime: true },
  },
  {
    subject: 'local-aws-sqs',
    case: 'the trace header of a message arrives',
    what: NO_SYSTEM_ATTRIBUTES,
    observed: undefined,
  },
  {
    subject: 'local-aws-sqs',
    case: 'the message group of a message in a standard queue arrives, and locks nothing',
    what: NO_SYSTEM_ATTRIBUTES,
    observed: [undefined, undefined],
  },
  {
    subject: 'local-aws-sqs',
    case: 'a message in the dead-letter queue keeps its id and its count and tells where it comes from',
    what: NO_SYSTEM_ATTRIBUTES,
    observed: { sameId: true, receiveCount: 1, source: false, attribute: 'blue' },
  },
  {
    subject: 'local-aws-sqs',
    case: 'FIFO: a message in the dead-letter queue keeps its group, and its id is its deduplication id',
    what: NO_SYSTEM_ATTRIBUTES,
    observed: { group: undefined, deduplicationIdIsId: false },
  },
  {
    subject: 'local-aws-sqs',
    case: 'FIFO: a copy keeps its group, and a second one within five minutes is not stored',
    what: NO_SYSTEM_ATTRIBUTES,
    observed: {
      stored: ['done', 'done', 'done'],
      letters: ['undefined 1', 'undefined x'],
      deduplicationIds: [undefined, undefined],
    },
  },
  {
    subject: 'local-aws-sqs',
    case: 'a message moves to the dead-letter queue at the receive after the last one it has',
    what: 'Moves a message one receive too early.',
    observed: { received: 1, letters: 1, dead: ['body'] },
  },
  {
    subject: 'local-aws-sqs',
    case: 'a purge takes waiting messages away, in the end',
    what: 'Takes up to a minute for a purge, as AWS may; more than this suite waits for an emulator.',
    observed: 3,
  },

  {
    subject: 'moto',
    case: 'twelve hours are not counted from when the message was sent',
    what: 'Counts the twelve hours from when the message was sent.',
    observed: ['LeaseCeiling (lost)'],
  },
  {
    subject: 'moto',
    case: 'FIFO: a message in flight hides itself and what follows, not what comes before it',
    what: 'Locks a group for messages that come before the one in flight too.',
    observed: { taken: 3, before: false, itself: false, after: false },
  },
  {
    subject: 'moto',
    case: 'FIFO: a delete that comes after the timeout is refused, and the message comes again',
    what: DELETES_LATE,
    observed: { deleted: ['done'], again: [] },
  },
  {
    subject: 'moto',
    case: 'FIFO: messages tell their group, their deduplication id and their place in the order',
    what: 'Has random sequence numbers.',
    observed: {
      groups: ['a'],
      deduplicationIds: ['a-1', 'a-2', 'a-3', 'a-4', 'a-5', 'a-6'],
      ascending: false,
    },
  },
  {
    subject: 'moto',
    case: 'FIFO: a receive that is repeated with its id brings the same messages and handles',
    what: NO_REPETITION,
    observed: { first: 1, second: 0, same: false },
  },
  {
    subject: 'moto',
    case: 'a message above one mebibyte is refused, its attributes counted',
    what: 'Does not count attributes.',
    observed: { body: 'refused', attributes: 'accepted' },
  },
  {
    subject: 'moto',
    case: 'an empty body and a control character are refused',
    what: 'Takes empty bodies and control characters.',
    observed: { empty: 'accepted', control: 'accepted' },
  },
  {
    subject: 'moto',
    case: 'a message in the dead-letter queue keeps its id and its count and tells where it comes from',
    what: NO_SOURCE,
    observed: { sameId: true, receiveCount: 2, source: false, attribute: 'blue' },
  },
  {
    subject: 'moto',
    case: 'FIFO: a message in the dead-letter queue keeps its group, and its id is its deduplication id',
    what: OWN_DEDUPLICATION_ID,
    observed: { group: 'a', deduplicationIdIsId: false },
  },
  {
    subject: 'moto',
    case: 'a copy that the dead-letter queue cannot hold fails alone',
    what: 'Refuses the whole batch for one entry that is too large.',
    observed: { stored: Array<string>(3).fill('DeadLetterRefused (terminal)'), letters: 0 },
  },
  {
    subject: 'moto',
    case: 'a queue that was never made is not found, whatever is asked of it',
    what: 'Answers a batch of deletes with an error of its own.',
    observed: {
      received: 'QueueNotFound (terminal)',
      described: 'QueueNotFound (terminal)',
      renewed: ['QueueNotFound (terminal)'],
      deleted: ['QueueUnreachable (retry)', 'QueueUnreachable (retry)'],
    },
  },
  {
    subject: 'moto',
    case: 'a message that was purged while we held it is deleted with success',
    what: 'Refuses the handle of a purged message.',
    observed: ['LeaseLost (lost)'],
  },
];
