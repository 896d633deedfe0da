import type { BatchQueueStatus } from '../api/batch-queue.ts';
import type { ParsedBatchQueue } from '../api/validate.ts';
import type { OperatorError } from '../errors.ts';
import { afterCreate, type CreationMemory, NO_REFUSALS } from '../plan/creation-refusal.ts';
import type { HoldMemory } from '../plan/intake-hold.ts';
import type { InboxMessage, Message } from '../plan/message.ts';
import type { ClaimAction, Lease, Settle } from '../plan/plan.ts';
import { readerOf } from '../plan/queue-reader.ts';
import { remember } from '../plan/remember.ts';
import type { Arrivals, TemplateCheck, UnconfirmedClaim } from '../plan/snapshot.ts';
import type { StartEvents } from '../plan/start-facts.ts';
import type { KubeObject, QueueCount } from '../ports.ts';
import { ActionsUnderWay } from './actions-under-way.ts';
import type { Heartbeat } from './heartbeat.ts';
import { Intake, type IntakeOptions } from './intake.ts';
import type { ObservedPods } from './observing-pods.ts';
import { PatientRead } from './patient-read.ts';
import { type CheckSubject, type PreflightCheck, QueuePreflight } from './preflight.ts';
import { QueueObserver } from './queue-observer.ts';
import { QueueRights } from './queue-rights.ts';
import { RepeatedFailures } from './repeated-failures.ts';

/** Payload Secrets without a Job are looked for this long after they may have been left behind, in milliseconds. */
const SWEEP_DELAY_MS = 600_000;

export interface QueueSessionOptions extends Pick<IntakeOptions, 'queue' | 'clock' | 'random' | 'log'> {
  /** `namespace/name` of the BatchQueue. */
  readonly key: string;
  readonly heartbeat: Heartbeat;
  /** What is looked at before the first message is received. */
  readonly checks: readonly PreflightCheck[];
  /** Something happened that a new plan should know of. */
  readonly onChange: () => void;
  /** Adds to a counter that people watch; by 1 unless said. */
  readonly count?: (what: QueueCount, by?: number) => void;
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
  readonly rights: QueueRights;
  readonly preflight: QueuePreflight;
  readonly claimsUnderWay = new ActionsUnderWay<ClaimAction>();
  readonly settlementsUnderWay = new ActionsUnderWay<Settle>();
  readonly repeatedFailures: RepeatedFailures;
  readonly podsRead: PatientRead<ObservedPods>;
  /** Adds to a counter that people watch; by 1 unless said. */
  readonly count: (what: QueueCount, by?: number) => void;
  /** The BatchQueue as last read. */
  parsed: { readonly object: KubeObject; readonly result: ParsedBatchQueue } | undefined;
  /** The API server's verdict on each revision's template, by hash. */
  readonly templateChecks = new Map<string, TemplateCheck>();
  /** What Kubernetes told about Jobs and pods that take long to start, by their uid. */
  readonly startEvents = new Map<string, StartEvents>();
  /** What holds intake, and what it was last told from. */
  holdMemory: HoldMemory | undefined;
  /** When status may be written next, epoch ms, and how often that has failed in a row. */
  statusDueAtMs = 0;
  statusFailures = 0;
  /** The status write under way; never rejects. */
  statusWrite: Promise<void> | undefined;
  /** When users were last told that somebody else reads the queue, epoch ms. */
  othersToldAtMs = Number.NEGATIVE_INFINITY;
  /** A status that waits to be written: it may tell of Jobs that history limits have deleted in the meantime. */
  unwrittenStatus: UnwrittenStatus | undefined;
  /** When the last consistent list of this queue's Jobs began, epoch ms. */
  jobsListedAtMs = 0;
  /** When to look for payload Secrets that no Job uses, epoch ms; a process before this one may have left some. */
  sweepAtMs: number | undefined;
  /** Creates that were never answered, by Job name. */
  readonly #unconfirmed = new Map<string, UnconfirmedClaim>();
  readonly #clock: QueueSessionOptions['clock'];
  #creations = NO_REFUSALS;
  readonly #onChange: () => void;
  #isPullDenied = false;
  #arrival = Promise.withResolvers<void>();
  readonly #key: string;
  readonly #heartbeat: Heartbeat;

  constructor(options: QueueSessionOptions) {
    this.#key = options.key;
    this.#heartbeat = options.heartbeat;
    this.#clock = options.clock;
    this.#onChange = options.onChange;
    this.count = options.count ?? (() => undefined);
    this.sweepAtMs = options.clock.now() + SWEEP_DELAY_MS;
    this.repeatedFailures = new RepeatedFailures(options.clock);
    this.podsRead = new PatientRead({ clock: options.clock, onLate: options.onChange });
    this.observer = new QueueObserver(options);
    this.rights = new QueueRights(options);
    this.preflight = new QueuePreflight(options);
    this.intake = new Intake({
      ...options,
      onReceived: (message) => {
        options.heartbeat.hold(options.key, leaseOf(message));
        this.count('messagesReceived');
        this.#arrival.resolve();
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

  /** Resolves when the next message has been received; to be asked for when a snapshot is taken. */
  nextArrival(): Promise<void> {
    this.#arrival = Promise.withResolvers();
    return this.#arrival.promise;
  }

  /** Resolves when what turns have begun beside them is done: Jobs and a status. */
  async untilWritten(): Promise<void> {
    await this.claimsUnderWay.untilIdle();
    await this.settlementsUnderWay.untilIdle();
    await this.statusWrite;
  }

  /** Asks for another turn. */
  lookAgain(): void {
    this.#onChange();
  }

  /** Starts no further request: nobody looks at this session any more. */
  close(): void {
    this.lookAt(undefined);
    this.intake.setTarget(undefined);
  }

  /** Looks at the queue of this BatchQueue, and at what its Jobs need, from now on; undefined: at nothing any more. */
  lookAt(subject: CheckSubject | undefined): void {
    this.preflight.watch(subject);
    // Without an account nobody can be asked, and one that has come right is told from the queue's first answer.
    const isReadable = this.preflight.answers().serviceAccount?.holdsIntake !== true;
    const reader = subject && isReadable ? readerOf(subject.queue) : undefined;
    this.observer.watch(reader);
    this.rights.watch(reader);
  }

  /** Pods are refused by a registry now, or not: when that begins, the pull secret is looked at at once. */
  notePullDenied(isDenied: boolean): void {
    if (isDenied && !this.#isPullDenied) this.preflight.recheck('pullSecret');
    this.#isPullDenied = isDenied;
  }

  /** Whether waiting for a fuller batch makes sense. */
  arrivals(): Arrivals {
    if (!this.intake.isPolling()) return 'none';
    return this.intake.moreExpected() ? 'likely' : 'possible';
  }

  /** Creates that were never answered and may still arrive. One whose messages are all gone is of no interest. */
  unconfirmed(): readonly UnconfirmedClaim[] {
    if (this.#unconfirmed.size === 0) return [];
    const here = new Set(this.intake.inbox().map(({ id }) => id));
    for (const [name, { action }] of this.#unconfirmed) {
      if (!action.messages.some(({ id }) => here.has(id))) this.#unconfirmed.delete(name);
    }
    return [...this.#unconfirmed.values()];
  }

  /** A create was sent and nobody knows whether it was carried out. */
  noteUnconfirmed(action: ClaimAction): void {
    this.#unconfirmed.set(action.job.metadata.name, { action, sentAtMs: this.#clock.now() });
    if (action.secrets.length > 0) this.sweepLater();
  }

  /** The Job of this name is there, or is known not to be. */
  noteConfirmed(jobName: string): void {
    this.#unconfirmed.delete(jobName);
  }

  /** Secrets may have been made for a Job that was not. */
  sweepLater(): void {
    this.sweepAtMs = this.#clock.now() + SWEEP_DELAY_MS;
  }

  /** The create of this Job was refused; `error` undefined: it stands there. */
  noteCreation(jobName: string, error?: OperatorError): void {
    this.#creations = afterCreate(this.#creations, jobName, error, this.#clock.now());
  }

  /** Creates that the API server has refused since one was not. */
  creations(): CreationMemory {
    return this.#creations;
  }

  /**
   * Keeps the leases of these Jobs and of the inbox, and no others of this queue; not of receives that are being settled:
   * a renewal would undo what SQS is told.
   */
  publishLeases(jobLeases: readonly Lease[]): void {
    const held = new Set(jobLeases.map(({ messageId }) => messageId));
    const settling = settledReceives(this.settlementsUnderWay.actions());
    const waiting = this.intake
      .inbox()
      .filter(({ id, receiveCount }) => !held.has(id) && receiveCount > (settling.get(id) ?? 0));
    this.#heartbeat.publish(this.#key, [...jobLeases, ...waiting.map(leaseOf)]);
  }
}

const leaseOf = remember((message: Message): Lease => {
  const { queue, id, receiptHandle, receivedAtMs, visibilityTimeoutSeconds } = message;
  return { queue, messageId: id, receiptHandle, receivedAtMs, visibilityTimeoutSeconds };
});

/** The newest receive of each message that is being settled, by its id. */
function settledReceives(settlements: readonly Settle[]): ReadonlyMap<string, number> {
  return new Map(
    settlements.flatMap(({ verdicts }) => verdicts.map(({ message }) => [message.id, message.receiveCount])),
  );
}
