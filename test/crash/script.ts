import type { CallName } from '../faults/call-sequence.ts';

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
  /** Kinds of call that every run of this script makes. */
  readonly makes: readonly string[];
}

/** Calls of a kind, from this ordinal on, that one run makes and another need not. */
interface OptionalCalls {
  readonly kind: RegExp;
  readonly from: number;
  readonly why: string;
}

/**
 * A run in which such a call does not come proves nothing about it, and is no failure; every other call of the
 * reference run must come in every run.
 */
const OPTIONAL: readonly OptionalCalls[] = [
  { kind: /^patch batchqueues\/status$/, from: 3, why: 'writes within half a second are one' },
  { kind: /^(create|patch) events$/, from: 3, why: 'told when there is time, equal ones together' },
  { kind: /^GetQueueAttributes/, from: 2, why: 'read every five seconds' },
  { kind: /^ChangeMessageVisibilityBatch to 10 s$/, from: 1, why: 'renewed by the clock' },
];

/** Why a call of the reference run need not come in another; undefined: it must. */
export function optionalBecause({ kind, ordinal }: CallName): string | undefined {
  return OPTIONAL.find((calls) => calls.kind.test(kind) && ordinal >= calls.from)?.why;
}

/** What the operator does before it can take the first message, and with one. */
const LONE_MESSAGE = [
  'list batchqueues',
  'list jobs',
  'list controllerrevisions',
  'create controllerrevisions',
  'create jobs (dry run)',
  'GetQueueAttributes',
  'patch batchqueues/status',
  'create events',
  'ReceiveMessage',
  'create jobs',
  'patch jobs',
  'DeleteMessageBatch',
];

export const LONE_SUCCESS: Script = {
  name: 'a lone message that succeeds',
  messages: [{ body: 'succeeds', failures: 0 }],
  makes: LONE_MESSAGE,
};

export const LONE_RETRY: Script = {
  name: 'a lone message that fails, then succeeds',
  messages: [{ body: 'fails once', failures: 1 }],
  makes: [...LONE_MESSAGE, 'ChangeMessageVisibilityBatch to 1 s'],
};

/** Without a memory of earlier Jobs the attempt comes from the receive count. */
export const LONE_FORGOTTEN: Script = {
  name: 'a lone message that fails, then succeeds, and no Job is kept',
  successfulJobsHistoryLimit: 0,
  failedJobsHistoryLimit: 0,
  messages: [{ body: 'fails once', failures: 1 }],
  makes: [...LONE_RETRY.makes, 'delete jobs'],
};

/** The lease is renewed while the Job runs. */
export const LONE_LONG: Script = {
  name: 'a lone message whose Job outlasts the first renewal',
  messages: [{ body: 'takes its time', failures: 0 }],
  runsForMs: 4_500,
  makes: [...LONE_MESSAGE, 'ChangeMessageVisibilityBatch to 10 s'],
};

export const BATCH: Script = {
  name: 'a batch of which one message fails once',
  queue: { batchSize: 10 },
  messages: [
    { body: 'first of a batch', failures: 0 },
    { body: 'fails once', failures: 1 },
    { body: 'last of a batch', failures: 0 },
  ],
  makes: [...LONE_MESSAGE, 'ChangeMessageVisibilityBatch to 1 s'],
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
  messages: BATCH.messages,
  makes: BATCH.makes,
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
  makes: BATCH.makes,
};

/** Above 32 KiB messages travel in a Secret; above 768 KiB a body has one of its own. */
export const SECRET: Script = {
  name: 'messages that travel in Secrets',
  messages: [
    { body: 'in a Secret '.padEnd(40 * 1024, 'x'), failures: 0 },
    { body: 'its body in a Secret of its own '.padEnd(800 * 1024, 'x'), failures: 0 },
  ],
  makes: [...LONE_MESSAGE, 'create secrets', 'patch secrets'],
};
