import { hasCode, messageOf, OperatorError } from '../errors.ts';
import type { Problem } from '../plan/problem.ts';
import { type QueueReader, readerKey } from '../plan/queue-reader.ts';
import type { KnownRights } from '../plan/snapshot.ts';
import type { Clock, Log, Random } from '../ports.ts';
import { type MessageQueue, TRIED_RIGHTS, type TriedRight } from '../world.ts';

/** How often rights are tried at least, at work and at rest, in milliseconds: a change is told within a minute. */
const PERIOD_MS = 50_000;
/** By this share of it earlier, so that not all queues are tried at once. Each try is paid for, so not by much. */
const PERIOD_SPREAD = 0.1;
/**
 * A request that mattered was refused so long ago, in milliseconds: then a mere try may call the right granted again. Longer
 * than what is owed waits for its next turn.
 */
const REFUSAL_MS = 120_000;
const MIN_RETRY_MS = 1_000;
/** So many that were not answered are waited for before the first message is received. */
const TRIES = 3;

/** What may be needed of a queue after a message was received; copies to its dead-letter queue cannot be tried. */
export type LateRight = TriedRight | 'SendMessage';

export interface QueueRightsOptions {
  readonly queue: Pick<MessageQueue, 'tryRight'>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** What is known may have changed. */
  readonly onChange: () => void;
}

interface Refusal extends Problem {
  /** When a request that mattered was refused last, epoch ms; undefined: only a try was. */
  readonly realAtMs: number | undefined;
}

/**
 * Whether the reader of a queue may do what comes after receiving: to keep messages and to delete them. A role without
 * that would lose its messages a receive each, or run them again and again, so it is tried before the first one is
 * received and from then on, and every answer to a real request counts as well.
 */
export class QueueRights {
  readonly #options: QueueRightsOptions;
  readonly #refusals = new Map<LateRight, Refusal>();
  #reader: QueueReader | undefined;
  #isTried = false;
  #failures = 0;
  /** Raised with every try: the answer to an earlier one is dropped. */
  #turn = 0;
  #cancelTimer: (() => void) | undefined;

  constructor(options: QueueRightsOptions) {
    this.#options = options;
  }

  known(): KnownRights {
    const [missing] = TRIED_RIGHTS.flatMap((right) => this.#refusals.get(right) ?? []);
    return {
      isTried: this.#isTried,
      missing: missing && problemOf(missing),
      copying: problemOf(this.#refusals.get('SendMessage')),
    };
  }

  /** Tries the rights of this reader from now on; undefined stops. The same again changes nothing. */
  watch(reader: QueueReader | undefined): void {
    if ((reader && readerKey(reader)) === (this.#reader && readerKey(this.#reader))) return;
    this.#reader = reader;
    this.#refusals.clear();
    this.#isTried = false;
    this.#failures = 0;
    this.#try();
  }

  /** What came of a request that mattered. One for another queue, or in another name, says nothing. */
  note(reader: QueueReader, right: LateRight, error: OperatorError | undefined): void {
    if (!this.#reader || readerKey(reader) !== readerKey(this.#reader)) return;
    this.#record(right, error, this.#options.clock.now());
  }

  #record(right: LateRight, error: OperatorError | undefined, realAtMs: number | undefined): void {
    const before = this.#refusals.get(right);
    if (error && isRefusal(error)) {
      const message = messageOf(error);
      this.#refusals.set(right, { reason: error.code, message, realAtMs: realAtMs ?? before?.realAtMs });
      if (before?.message === message) return;
      this.#options.log.warn({ right, error: message }, 'a right is missing');
    } else {
      if (!before || !isGrant(error)) return;
      // Otherwise what is owed is asked for once more, now that it may work.
      if (realAtMs !== undefined || !this.#isRecent(before)) {
        this.#refusals.delete(right);
        this.#options.log.info({ right }, 'a missing right is there again');
      }
    }
    this.#options.onChange();
  }

  /** AWS may look at a receipt handle before it looks at rights: then a try tells less than a request that mattered. */
  #isRecent(refusal: Refusal | undefined): boolean {
    return (refusal?.realAtMs ?? 0) + REFUSAL_MS > this.#options.clock.now();
  }

  #try(): void {
    this.#cancelTimer?.();
    this.#turn += 1;
    if (this.#reader) void this.#tryAll(this.#reader, this.#turn);
  }

  /** Never rejects. */
  async #tryAll(reader: QueueReader, turn: number): Promise<void> {
    const answers = await Promise.all(TRIED_RIGHTS.map((right) => this.#answerOf(reader, right)));
    if (turn !== this.#turn) return;
    const isAnswered = answers.every((error) => error?.verdict !== 'retry');
    this.#failures = isAnswered ? 0 : this.#failures + 1;
    for (const [index, right] of TRIED_RIGHTS.entries()) this.#record(right, answers[index], undefined);
    // What cannot be tried may well be granted: messages run.
    if (!this.#isTried && (isAnswered || this.#failures >= TRIES)) {
      this.#isTried = true;
      this.#options.onChange();
    }
    this.#cancelTimer = this.#options.clock.after(this.#periodMs(), () => this.#try());
  }

  async #answerOf(reader: QueueReader, right: TriedRight): Promise<OperatorError | undefined> {
    try {
      await this.#options.queue.tryRight(reader, right);
      return undefined;
    } catch (error) {
      if (error instanceof OperatorError) return error;
      return new OperatorError({ code: 'QueueUnreachable', verdict: 'retry', message: messageOf(error) });
    }
  }

  #periodMs(): number {
    const retry = this.#failures > 0 ? MIN_RETRY_MS * 2 ** Math.min(this.#failures, 10) : PERIOD_MS;
    return Math.min(PERIOD_MS, retry) * (1 - PERIOD_SPREAD + PERIOD_SPREAD * this.#options.random());
  }
}

function isRefusal(error: OperatorError): boolean {
  return hasCode(error, 'QueueAccessDenied') || hasCode(error, 'DeadLetterAccessDenied');
}

/** Whoever is told what is wrong with the request was allowed to make it. */
function isGrant(error: OperatorError | undefined): boolean {
  return !error || error.verdict === 'lost' || hasCode(error, 'RequestRefused');
}

function problemOf(refusal: Refusal | undefined): Problem | undefined {
  return refusal && { reason: refusal.reason, message: refusal.message };
}
