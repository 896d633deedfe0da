import { hasCode, messageOf, OperatorError } from '../errors.ts';
import type { Problem } from '../plan/problem.ts';
import { type QueueReader, readerKey } from '../plan/queue-reader.ts';
import type { KnownRights } from '../plan/snapshot.ts';
import type { Clock, Log, Random } from '../ports.ts';
import { type MessageQueue, TRIED_RIGHTS, type TriedRight } from '../world.ts';

/** How often rights are tried while somebody may wait for the answer, in milliseconds: a change is told within a minute. */
const PERIOD_MS = 45_000;
/** At rest nothing is lost by knowing later, and the first message has them tried at once. */
const REST_PERIOD_MS = 300_000;
/** How long after the last sign of work, or of an edit, a queue counts as at rest, in milliseconds. */
const REST_AFTER_MS = 600_000;
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
  #triedAtMs = 0;
  #stirredAtMs = 0;
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
    this.#stirredAtMs = this.#options.clock.now();
    this.#try();
  }

  /** A message has come: what it will need had better be known. */
  stir(): void {
    const nowMs = this.#options.clock.now();
    this.#stirredAtMs = nowMs;
    if (nowMs >= this.#triedAtMs + PERIOD_MS) this.#try();
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
    this.#triedAtMs = this.#options.clock.now();
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
    const { clock, random } = this.#options;
    const isAtRest = this.#refusals.size === 0 && clock.now() >= this.#stirredAtMs + REST_AFTER_MS;
    const usual = isAtRest ? REST_PERIOD_MS : PERIOD_MS;
    const retry = MIN_RETRY_MS * 2 ** Math.min(this.#failures, 10);
    return (this.#failures > 0 ? Math.min(usual, retry) : usual) * (0.75 + random() / 4);
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
