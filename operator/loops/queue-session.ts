import type { BatchQueueStatus } from '../api/batch-queue.ts';
import type { InboxMessage, Lease, Message, TemplateCheck } from '../plan/types.ts';
import type { Heartbeat } from './heartbeat.ts';
import { Intake, type IntakeOptions } from './intake.ts';
import { QueueObserver } from './queue-observer.ts';

export interface QueueSessionOptions extends Pick<IntakeOptions, 'queue' | 'clock' | 'random' | 'log'> {
  /** `namespace/name` of the BatchQueue. */
  readonly key: string;
  readonly heartbeat: Heartbeat;
  /** Something happened that a new plan should know of. */
  readonly onChange: () => void;
}

/** Of the BatchQueue with this uid; another one of the same name starts anew. */
export interface UnwrittenStatus {
  readonly uid: string | undefined;
  readonly status: BatchQueueStatus;
}

/**
 * What one BatchQueue has in this process: its loops and what was learned by asking. All of it may be lost at any
 * moment; a new process asks again.
 */
export class QueueSession {
  readonly intake: Intake;
  readonly observer: QueueObserver;
  /** The API server's verdict on each revision's template, by hash. */
  readonly templateChecks = new Map<string, TemplateCheck>();
  /** When status was last written, epoch ms. */
  statusWrittenAtMs = 0;
  /** A status that waits to be written: it may tell of Jobs that history limits have deleted in the meantime. */
  unwrittenStatus: UnwrittenStatus | undefined;
  /** Why the last attempt to create a Job failed, by message id. */
  readonly #creationProblems = new Map<string, string>();
  readonly #key: string;
  readonly #heartbeat: Heartbeat;

  constructor(options: QueueSessionOptions) {
    this.#key = options.key;
    this.#heartbeat = options.heartbeat;
    this.observer = new QueueObserver({ ...options, onChange: options.onChange });
    this.intake = new Intake({
      ...options,
      onProblem: options.onChange,
      onReceived: (message) => {
        options.heartbeat.hold(options.key, leaseOf(message));
        this.observer.stir();
        options.onChange();
      },
    });
  }

  /** The inbox with what the heartbeat knows of its leases. */
  inbox(): readonly InboxMessage[] {
    return this.intake.inbox().map((message) => {
      const trustedUntilMs = this.#heartbeat.trustedUntil(message.queue, message.id);
      return Object.assign({ trustedUntilMs }, message);
    });
  }

  /** Remembers why the Job of a message could not be created; undefined: it could. */
  noteCreation(messageId: string, problem: string | undefined): void {
    if (problem === undefined) this.#creationProblems.delete(messageId);
    else this.#creationProblems.set(messageId, problem);
  }

  /** Why a received message has no Job, while there is one that could not be created. */
  creationProblem(): string | undefined {
    const waiting = new Set(this.intake.inbox().map(({ id }) => id));
    for (const id of this.#creationProblems.keys()) if (!waiting.has(id)) this.#creationProblems.delete(id);
    return [...this.#creationProblems.values()][0];
  }

  /** Keeps the leases of these Jobs and of the inbox, and no others of this queue. */
  publishLeases(jobLeases: readonly Lease[]): void {
    const held = new Set(jobLeases.map(({ messageId }) => messageId));
    const waiting = this.intake.inbox().filter(({ id }) => !held.has(id));
    const inboxLeases = waiting.map((message) => leaseOf(message));
    this.#heartbeat.publish(this.#key, [...jobLeases, ...inboxLeases]);
  }
}

function leaseOf(message: Message): Lease {
  const { queue, id, receiptHandle, receivedAtMs, visibilityTimeoutSeconds } = message;
  return { queue, messageId: id, receiptHandle, receivedAtMs, visibilityTimeoutSeconds };
}
