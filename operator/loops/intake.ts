import { hasCode, messageOf, OperatorError } from '../errors.ts';
import type { LedgerMessage } from '../plan/job-facts.ts';
import { MIN_RECEIVE_TIMEOUT_SECONDS } from '../plan/lease.ts';
import type { Message } from '../plan/message.ts';
import { inLine } from '../plan/message-group.ts';
import type { IntakeTarget } from '../plan/plan.ts';
import type { Problem } from '../plan/problem.ts';
import { readerKey } from '../plan/queue-reader.ts';
import type { Polls } from '../plan/snapshot.ts';
import type { Clock, Log, Random } from '../ports.ts';
import type { MessageQueue } from '../world.ts';

/** SQS's longest long poll, in seconds: three receives per minute on an idle queue. */
const WAIT_SECONDS = 20;
/** The most polls of one queue at once; at SQS's 10 to 30 ms per receive that is thousands of messages a second. */
const MAX_POLLS = 8;
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
  /** Called when a receive begins to fail, when it works again, and when no more messages are expected at once. */
  readonly onChange: () => void;
}

/** A receive under way. */
interface Poll {
  readonly target: IntakeTarget;
  readonly asked: number;
  /** Started while full answers came back: it does not wait for messages, and probably brings some. */
  readonly followsFull: boolean;
  readonly startedAtMs: number;
}

/**
 * Receives messages of one queue into an inbox, and may do nothing else. A poll is only started while there is room
 * for all it may bring, and is never aborted: SQS may already have handed messages to it.
 *
 *   at rest   one poll, which waits for messages
 *   backlog   every full answer earns one more poll, up to eight at once; any other answer takes one away. These do
 *             not wait: when the backlog is gone they end at once, and the one that waits is left
 *   failure   no poll until a backoff is over
 */
export class Intake {
  readonly #options: IntakeOptions;
  readonly #inbox = new Map<string, Message>();
  readonly #polls = new Map<Poll, Promise<void>>();
  #target: IntakeTarget | undefined;
  /** Room of the target that Jobs created since then have taken. */
  #taken = 0;
  /** Full answers less others, 0..8: how many polls the backlog has earned. */
  #earned = 0;
  #draining = false;
  /** Ends the pause after a failure; undefined when there is none. */
  #cancelBackoff: (() => void) | undefined;
  #failures = 0;
  #problem: Problem | undefined;
  #told: Polls;

  constructor(options: IntakeOptions) {
    this.#options = options;
    this.#told = { answeredSinceMs: options.clock.now(), emptyAtMs: 0 };
  }

  /** What may be received from now on; undefined starts no further poll. Polls under way go on. */
  setTarget(target: IntakeTarget | undefined): void {
    const moved = !isSameQueue(target, this.#target);
    this.#target = target;
    this.#taken = 0;
    if (moved) {
      this.#earned = 0;
      this.#endBackoff();
      this.#recover();
      this.#noteUnanswered();
    }
    this.#startPolls();
  }

  /** What has been received and not yet been dealt with, oldest first. */
  inbox(): readonly Message[] {
    return [...this.#inbox.values()].toSorted((a, b) => a.sentAtMs - b.sentAtMs || (a.id < b.id ? -1 : 1));
  }

  /** True while a poll is under way or its messages are not dealt with. */
  isBusy(): boolean {
    return this.isReceiving() || this.#inbox.size > 0;
  }

  /** True while any poll is under way, whichever queue it is of. */
  isReceiving(): boolean {
    return this.#polls.size > 0;
  }

  /** True while a poll of the queue that the target names is under way. */
  isPolling(): boolean {
    return this.#current().length > 0;
  }

  /** True while more messages of a backlog are about to come: a poll that followed a full one has not been answered. */
  moreExpected(): boolean {
    return this.#current().some(({ followsFull }) => followsFull);
  }

  /** Why receives fail, while they do. */
  problem(): Problem | undefined {
    return this.#problem;
  }

  /** What the polls of the queue that the target names tell about what is not in it. */
  polls(): Polls {
    return this.#told;
  }

  /** A Job holds these receives now: they leave the inbox, and it takes its room, whether or not they fill it. */
  claimed(messages: readonly Receive[]): void {
    for (const message of messages) this.#drop(message);
    this.#taken += this.#target?.perJob ?? 0;
    this.#startPolls();
  }

  /** This receive of the message is done with, without a Job of its own. */
  remove(message: Receive): void {
    this.#drop(message);
    this.#startPolls();
  }

  /** Resolves when no poll is under way any more; without a target that is within twenty seconds or so. */
  async untilIdle(): Promise<void> {
    while (this.#polls.size > 0) await Promise.all(this.#polls.values());
  }

  /** Starts no further poll; resolves when those under way have ended by themselves, within twenty seconds or so. */
  async drain(): Promise<void> {
    this.#draining = true;
    this.#endBackoff();
    await this.untilIdle();
  }

  /** A message that was given back may be received again before its settlement is recorded: that receive stays. */
  #drop({ id, receiveCount }: Receive): void {
    const known = this.#inbox.get(id);
    if (known && known.receiveCount <= receiveCount) this.#inbox.delete(id);
  }

  #startPolls(): void {
    const target = this.#target;
    if (!target || this.#draining || this.#cancelBackoff) return;
    let underWay = this.#current().length;
    for (; underWay < Math.max(1, this.#earned); underWay += 1) {
      const asked = Math.min(target.perReceive, this.#roomLeft(target));
      if (asked <= 0) return;
      const startedAtMs = this.#options.clock.now();
      const poll: Poll = { target, asked, followsFull: this.#earned > 0, startedAtMs };
      this.#polls.set(poll, this.#run(poll));
    }
  }

  /** Receive only what can run: nothing is asked for twice, and nothing that would have to be given back. */
  #roomLeft({ room }: IntakeTarget): number {
    const asked = [...this.#polls.keys()].reduce((sum, poll) => sum + poll.asked, 0);
    return room - this.#taken - this.#inbox.size - asked;
  }

  /** One receive from its request to its consequences; never rejects. */
  async #run(poll: Poll): Promise<void> {
    const { queue, visibilityTimeoutSeconds, perReceive } = poll.target;
    const waitSeconds = poll.followsFull ? 0 : WAIT_SECONDS;
    try {
      const messages = await this.#options.queue.receive(queue, {
        max: poll.asked,
        visibilityTimeoutSeconds: Math.max(visibilityTimeoutSeconds, MIN_RECEIVE_TIMEOUT_SECONDS),
        waitSeconds,
      });
      this.#polls.delete(poll);
      for (const message of inLine(messages)) this.#take(message);
      if (this.#isCurrent(poll)) this.#succeed(messages.length >= perReceive);
      // One beside it might be what has been given a message.
      if (messages.length === 0 && this.#isCurrent(poll) && this.#polls.size === 0)
        this.#told = { ...this.#told, emptyAtMs: poll.startedAtMs };
    } catch (error) {
      this.#polls.delete(poll);
      this.#noteUnanswered();
      if (this.#isCurrent(poll)) this.#fail(error);
    }
    this.#startPolls();
    if (poll.followsFull && !this.moreExpected()) this.#options.onChange();
  }

  /** What it may have been given is in flight, and nobody knows. */
  #noteUnanswered(): void {
    this.#told = { answeredSinceMs: this.#options.clock.now(), emptyAtMs: 0 };
  }

  #current(): readonly Poll[] {
    return [...this.#polls.keys()].filter((poll) => this.#isCurrent(poll));
  }

  /** False for a poll of a queue that the target does not name any more: it says nothing about the one it names. */
  #isCurrent(poll: Poll): boolean {
    return isSameQueue(poll.target, this.#target);
  }

  #take(message: Message): void {
    const known = this.#inbox.get(message.id);
    if (known && known.receiveCount >= message.receiveCount) return;
    this.#inbox.set(message.id, message);
    this.#options.onReceived(message);
  }

  #succeed(isFull: boolean): void {
    this.#earned = isFull ? Math.min(MAX_POLLS, this.#earned + 1) : Math.max(0, this.#earned - 1);
    this.#recover();
  }

  #recover(): void {
    this.#failures = 0;
    if (!this.#problem) return;
    this.#problem = undefined;
    this.#options.onChange();
  }

  #fail(error: unknown): void {
    this.#earned = 0;
    // Polls that fail together are one failure.
    if (!this.#cancelBackoff) {
      this.#failures += 1;
      this.#backOff();
    }
    this.#options.log.warn({ error: messageOf(error), failures: this.#failures }, 'receive failed');
    const reason = error instanceof OperatorError ? error.code : 'QueueUnreachable';
    // One hiccup is not worth a condition that flaps.
    if (this.#failures === 1 && !(error instanceof OperatorError && error.verdict === 'terminal')) return;
    if (this.#problem && hasCode(error, this.#problem.reason)) return;
    this.#problem = { reason, message: messageOf(error) };
    this.#options.onChange();
  }

  #backOff(): void {
    if (this.#draining) return;
    const ceiling = Math.min(MAX_BACKOFF_MS, MIN_BACKOFF_MS * 2 ** Math.min(this.#failures, 10));
    const delayMs = ceiling * (0.5 + this.#options.random() / 2);
    this.#cancelBackoff = this.#options.clock.after(delayMs, () => {
      this.#cancelBackoff = undefined;
      this.#startPolls();
    });
  }

  #endBackoff(): void {
    this.#cancelBackoff?.();
    this.#cancelBackoff = undefined;
  }
}

/** Read by the same ServiceAccount, too: what one may do says nothing about another. */
function isSameQueue(a: IntakeTarget | undefined, b: IntakeTarget | undefined): boolean {
  return (a && readerKey(a.queue)) === (b && readerKey(b.queue));
}
