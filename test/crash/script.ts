/** One message of a script. */
export interface ScriptedMessage {
  /** Unique in its script. */
  readonly body: string;
  /** How many runs of it fail before one succeeds. */
  readonly failures: number;
  /** On FIFO queues. */
  readonly group?: string;
}

/** What happens beside the operator, always in the same way, while its process is ended somewhere. */
export interface Script {
  readonly name: string;
  readonly isFifo?: boolean;
  /** The operators elect a leader; the next one waits for the Lease of the dead one. */
  readonly isElected?: boolean;
  /** Fields of `spec.queue`. */
  readonly queue?: Readonly<Record<string, unknown>>;
  /** Other fields of the BatchQueue's spec, besides the next two. */
  readonly spec?: Readonly<Record<string, unknown>>;
  /** Default: 3. */
  readonly successfulJobsHistoryLimit?: number;
  /** Default: 5. */
  readonly failedJobsHistoryLimit?: number;
  /** In the queue before the operator starts, in this order. */
  readonly messages: readonly ScriptedMessage[];
  /** How long a worker runs, in milliseconds; default: not at all. */
  readonly runsForMs?: number;
  /**
   * The calls that every run of this script makes, by kind, and how many of each at least. A call that is not among
   * them is optional: a run in which it does not come says nothing about it. Such are status writes beyond the first two
   * (those within half a second are one), the last event (told when there is time), attribute reads after the first
   * (every five seconds), renewals (by the clock), deletes beyond the first of Jobs that may end together (they share
   * a request then), and what is done once more because another writer was faster.
   */
  readonly makes: Readonly<Record<string, number>>;
}

/** What every operator does before its first message and with it. */
const ALWAYS = {
  'list batchqueues': 1,
  'list jobs': 1,
  'list pods': 1,
  'list controllerrevisions': 1,
  'create controllerrevisions': 1,
  'create jobs (dry run)': 1,
  GetQueueAttributes: 1,
  'GetQueueAttributes of the dead-letter queue': 1,
  'patch batchqueues/status': 2,
  'create events': 2,
  ReceiveMessage: 2,
  'create jobs': 1,
  'patch jobs': 1,
  DeleteMessageBatch: 1,
};

/** A message fails and comes again. */
const RETRIED = {
  ...ALWAYS,
  'create events': 4,
  ReceiveMessage: 3,
  'create jobs': 2,
  'patch jobs': 2,
  'ChangeMessageVisibilityBatch to 1 s': 1,
};

export const LONE_SUCCESS: Script = {
  name: 'a lone message that succeeds',
  messages: [{ body: 'succeeds', failures: 0 }],
  makes: ALWAYS,
};

export const LONE_RETRY: Script = {
  name: 'a lone message that fails, then succeeds',
  messages: [{ body: 'fails once', failures: 1 }],
  makes: RETRIED,
};

/** Without a memory of earlier Jobs the attempt comes from the receive count. */
export const LONE_FORGOTTEN: Script = {
  name: 'a lone message that fails, then succeeds, and no Job is kept',
  successfulJobsHistoryLimit: 0,
  failedJobsHistoryLimit: 0,
  messages: [{ body: 'fails once', failures: 1 }],
  makes: { ...RETRIED, 'delete jobs': 2 },
};

export const LONE_ELECTED: Script = {
  name: 'a lone message and an elected leader',
  isElected: true,
  messages: [{ body: 'succeeds', failures: 0 }],
  makes: { ...ALWAYS, 'list leases': 1, 'get leases': 1, 'patch leases': 1 },
};

/** The lease is renewed while the Job runs. */
export const LONE_LONG: Script = {
  name: 'a lone message whose Job outlasts the first renewal',
  messages: [{ body: 'takes its time', failures: 0 }],
  runsForMs: 4_500,
  makes: { ...ALWAYS, 'ChangeMessageVisibilityBatch to 10 s': 1 },
};

/** Three messages, of which the second fails once. */
const THREE: readonly ScriptedMessage[] = [
  { body: 'first of three', failures: 0 },
  { body: 'second of three, fails once', failures: 1 },
  { body: 'last of three', failures: 0 },
];

export const BATCH: Script = {
  name: 'a batch of which one message fails once',
  queue: { batchSize: 10 },
  messages: THREE,
  makes: { ...RETRIED, DeleteMessageBatch: 2 },
};

export const INDEXED: Script = {
  name: 'an Indexed Job of which one index fails once',
  queue: { batchSize: 10 },
  spec: {
    jobTemplate: {
      spec: {
        completionMode: 'Indexed',
        parallelism: 3,
        template: { spec: { containers: [{ name: 'worker', image: 'worker:1' }] } },
      },
    },
  },
  messages: THREE,
  makes: { ...RETRIED, DeleteMessageBatch: 2 },
};

export const FIFO: Script = {
  name: 'two groups of a FIFO queue, one with a message that fails once',
  isFifo: true,
  queue: { batchSize: 10 },
  messages: [
    { body: 'first of group a, fails once', failures: 1, group: 'a' },
    { body: 'second of group a', failures: 0, group: 'a' },
    { body: 'only one of group b', failures: 0, group: 'b' },
  ],
  makes: { ...RETRIED, 'create jobs': 4, 'patch jobs': 4, DeleteMessageBatch: 2 },
};

/** Above 32 KiB messages travel in a Secret; above 768 KiB a body has one of its own. */
export const SECRET: Script = {
  name: 'messages that travel in Secrets',
  messages: [
    { body: 'in a Secret '.padEnd(40 * 1024, 'x'), failures: 0 },
    { body: 'its body in a Secret of its own '.padEnd(800 * 1024, 'x'), failures: 0 },
  ],
  makes: {
    ...ALWAYS,
    'create jobs': 2,
    'patch jobs': 2,
    'create secrets': 2,
    'patch secrets': 2,
  },
};
