import { hasCode, messageOf, OperatorError } from '../errors.ts';
import { MIN_RECEIVE_TIMEOUT_SECONDS } from '../plan/lease.ts';
import type { IntakeTarget, LedgerMessage, Message, Problem } from '../plan/types.ts';
import type { Clock, Log, Random } from '../ports.ts';
import type { MessageQueue } from '../world.ts';

/** SQS's longest long poll, in seconds: three receives per minute on an idle queue. */
const WAIT_SECONDS = 20;
const MIN_BACKOFF_MS = 500;
const MAX_BACKOFF_MS = 30_000;

/** Which of the receives of a message is meant: receive counts only grow. */
type Receive = Pick<LedgerMessage, 'id' | 'receiveCount'>;

export interface IntakeOptions {
  readonly queue: MessageQueue;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Called for every message before anything else happens with it: its lease must be kept from here on. */
  readonly onReceived: (message: Message) => void;
  /** Called when a receive begins to fail and when it works again. */
  readonly onProblem: () => void;
}

/**
 * Receives messages of one queue into an inbox, and may do nothing else. A poll is only started while there is a slot
 * for what it may bring, and is never aborted: SQS may already have handed messages to it.
 *
 *   idle ──target with a free slot──► polling ──messages──► inbox, then polling or idle
 *     ▲                                 └──error──► backing off ──► polling or idle
 *     └──────────no slot, no target, or draining──────┘
 */
export class Intake {
  readonly #options: IntakeOptions;
  readonly #inbox = new Map<string, Message>();
  #target: IntakeTarget | undefined;
  /** Messages of the target's room that Jobs created since then have taken. */
  #taken = 0;
  #draining = false;
  #lastWasFull = false;
  #running: Promise<void> | undefined;
  #wakeBackoff: (() => void) | undefined;
  #failures = 0;
  #problem: Problem | undefined;

  constructor(options: IntakeOptions) {
    this.#options = options;
  }

  /** What may be received from now on; undefined starts no further poll. A poll under way goes on. */
  setTarget(target: IntakeTarget | undefined): void {
    const moved = target?.queue.url !== this.#target?.queue.url;
    this.#target = target;
    this.#taken = 0;
    if (moved) {
      this.#recover();
      this.#wakeBackoff?.();
    }
    this.#ensureRunning();
  }

  /** What has been received and not yet been dealt with, oldest first. */
  inbox(): readonly Message[] {
    return [...this.#inbox.values()].toSorted((a, b) => a.sentAtMs - b.sentAtMs || (a.id < b.id ? -1 : 1));
  }

  /** True while a poll is under way or its messages are not dealt with. */
  isBusy(): boolean {
    return this.#running !== undefined || this.#inbox.size > 0;
  }

  /** Why receives fail, while they do. */
  problem(): Problem | undefined {
    return this.#problem;
  }

  /** True while a poll is under way. */
  isPolling(): boolean {
    return this.#running !== undefined;
  }

  /** True while a poll is under way that followed a full one. */
  moreExpected(): boolean {
    return this.#running !== undefined && this.#lastWasFull;
  }

  /** A Job holds these receives now: they leave the inbox and take their room. */
  claimed(messages: readonly Receive[]): void {
    for (const message of messages) this.#drop(message);
    this.#taken += messages.length;
  }

  /** This receive of the message is done with, without a Job of its own. */
  remove(message: Receive): void {
    this.#drop(message);
    this.#ensureRunning();
  }

  /** Resolves when no poll is under way any more; without a target that is within twenty seconds or so. */
  async untilIdle(): Promise<void> {
    await this.#running;
  }

  /** Starts no further poll; resolves when the one under way has ended by itself, within twenty seconds or so. */
  async drain(): Promise<void> {
    this.#draining = true;
    this.#wakeBackoff?.();
    await this.#running;
  }

  /** A message that was given back may be received again before its settlement is recorded: that receive stays. */
  #drop({ id, receiveCount }: Receive): void {
    const known = this.#inbox.get(id);
    if (known && known.receiveCount <= receiveCount) this.#inbox.delete(id);
  }

  #wanted(): number {
    if (!this.#target || this.#draining) return 0;
    return Math.min(this.#target.perReceive, this.#target.room - this.#taken - this.#inbox.size);
  }

  #ensureRunning(): void {
    if (this.#running || this.#wanted() <= 0) return;
    this.#running = this.#run().finally(() => {
      this.#running = undefined;
      // What changed while the loop was ending must not be lost.
      this.#ensureRunning();
    });
  }

  async #run(): Promise<void> {
    while (this.#wanted() > 0) {
      try {
        await this.#poll();
        this.#recover();
      } catch (error) {
        this.#fail(error);
        // Without a further poll to come there is nothing to wait for.
        if (this.#wanted() > 0) await this.#backOff();
      }
    }
  }

  async #poll(): Promise<void> {
    const target = this.#target;
    if (!target) return;
    const { queue, visibilityTimeoutSeconds } = target;
    const max = this.#wanted();
    const messages = await this.#options.queue.receive(queue, {
      max,
      visibilityTimeoutSeconds: Math.max(visibilityTimeoutSeconds, MIN_RECEIVE_TIMEOUT_SECONDS),
      waitSeconds: WAIT_SECONDS,
    });
    this.#lastWasFull = messages.length >= max;
    for (const message of messages) {
      const known = this.#inbox.get(message.id);
      if (known && known.receiveCount >= message.receiveCount) continue;
      this.#inbox.set(message.id, message);
      this.#options.onReceived(message);
    }
  }

  #recover(): void {
    this.#failures = 0;
    if (!this.#problem) return;
    this.#problem = undefined;
    this.#options.onProblem();
  }

  #fail(error: unknown): void {
    this.#failures += 1;
    this.#options.log.warn({ error: messageOf(error), failures: this.#failures }, 'receive failed');
    const reason = error instanceof OperatorError ? error.code : 'QueueUnreachable';
    // One hiccup is not worth a condition that flaps.
    if (this.#failures === 1 && !(error instanceof OperatorError && error.verdict === 'terminal')) return;
    if (this.#problem && hasCode(error, this.#problem.reason)) return;
    this.#problem = { reason, message: messageOf(error) };
    this.#options.onProblem();
  }

  #backOff(): Promise<void> {
    const ceiling = Math.min(MAX_BACKOFF_MS, MIN_BACKOFF_MS * 2 ** Math.min(this.#failures, 10));
    const delayMs = ceiling * (0.5 + this.#options.random() / 2);
    return new Promise((resolve) => {
      const cancel = this.#options.clock.after(delayMs, resolve);
      this.#wakeBackoff = () => {
        cancel();
        resolve();
      };
    });
  }
}
