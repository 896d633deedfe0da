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

/**
 * What one BatchQueue has in this process: its loops and what was learned by asking. All of it may be lost at any
 * moment; a new process asks again.
 */
export class QueueSession {
  readonly intake: Intake;
  readonly observer: QueueObserver;
  /** The API server's verdict on each revision's template, by hash. */
  readonly templateChecks = new Map<string, TemplateCheck>();
  /** Why the last attempt to create a Job failed, while it still does. */
  creationProblem: string | undefined;
  /** When status was last written, epoch ms. */
  statusWrittenAtMs = 0;
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

  /** Keeps the leases of these Jobs and of the inbox, and no others of this queue. */
  publishLeases(jobLeases: readonly Lease[]): void {
    const held = new Set(jobLeases.map(({ messageId }) => messageId));
    const waiting = this.intake.inbox().filter(({ id }) => !held.has(id));
    const inboxLeases = waiting.map((message) => leaseOf(message));
    this.#heartbeat.publish(this.#key, [...jobLeases, ...inboxLeases]);
  }

  /** Ends the loops; a poll under way ends by itself. */
  async close(): Promise<void> {
    this.observer.watch(undefined);
    await this.intake.drain();
  }
}

function leaseOf(message: Message): Lease {
  const { queue, id, receiptHandle, receivedAtMs, visibilityTimeoutSeconds } = message;
  return { queue, messageId: id, receiptHandle, receivedAtMs, visibilityTimeoutSeconds };
}
