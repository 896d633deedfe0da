import { isDeepStrictEqual } from 'node:util';
import type { BatchQueue } from '../api/batch-queue.ts';
import { hasCode, messageOf, OperatorError } from '../errors.ts';
import { CHECKING, type Check, type CheckName, type Preflight, unchecked } from '../plan/preflight.ts';
import type { ResolvedImages } from '../plan/resolved-images.ts';
import type { RevisionTemplate } from '../plan/revision-facts.ts';
import type { Clock, Log, Random } from '../ports.ts';

/** What passed is looked at again after this long, in milliseconds; spread by a quarter. */
const PASSED_PERIOD_MS = 300_000;
/** What did not is looked at more often: recovery is noticed within a minute. Spread by a third. */
const FAILED_PERIOD_MS = 45_000;
/** A check that takes longer has failed, in milliseconds. */
const DEADLINE_MS = 30_000;
/** No check is asked more often than this, whatever its answer asks for, in milliseconds. */
const MIN_PERIOD_MS = 1_000;
/** So many failures in a row make an answer stale; fewer are a hiccup, not worth a condition that flaps. */
const FAILURES_BEFORE_UNKNOWN = 3;

/** Whose needs are checked. The same object as long as nothing about it has changed. */
export interface CheckSubject {
  readonly queue: BatchQueue;
  /** What new Jobs run. */
  readonly template: RevisionTemplate;
  /** What its tags mean, as far as it has been asked already. */
  readonly resolved?: ResolvedImages;
}

/** An answer, and when to ask again if not at the usual time, in milliseconds; at least a second. */
export type CheckAnswer = Check & { readonly recheckAfterMs?: number };

/**
 * One thing that is looked at before the first message is received, and from then on. It comes with the ports it needs.
 * Several BatchQueues may ask the same one at once.
 */
export interface PreflightCheck {
  readonly name: CheckName;
  /** Everything of the subject that the answer depends on, as plain data: when it changes, the old answer is void. */
  readonly dependsOn: (subject: CheckSubject) => unknown;
  /**
   * Rejecting means that it could not be looked at; messages run then, because it may well be in order. Must repeat
   * itself for the same world: its message goes into a condition.
   */
  readonly run: (subject: CheckSubject) => Promise<CheckAnswer>;
}

export interface QueuePreflightOptions {
  readonly checks: readonly PreflightCheck[];
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** An answer has changed. */
  readonly onChange: () => void;
}

/**
 * The checks of one BatchQueue and their last answers: at once when something that they depend on is edited, and from
 * time to time. Only reads, but for the keeper of pull secrets; all of it may be lost.
 */
export class QueuePreflight {
  readonly #runs: readonly CheckRun[];
  #subject: CheckSubject | undefined;

  constructor({ checks, ...options }: QueuePreflightOptions) {
    this.#runs = checks.map((check) => new CheckRun(check, options));
  }

  /** Checks for this subject from now on; undefined stops. The same again changes nothing. */
  watch(subject: CheckSubject | undefined): void {
    if (isSame(subject, this.#subject)) return;
    this.#subject = subject;
    for (const run of this.#runs) run.watch(subject);
  }

  /** Asks this one again now, because something happened that it would want to know of. */
  recheck(name: CheckName): void {
    for (const run of this.#runs) if (run.name === name) run.ask();
  }

  answers(): Preflight {
    return Object.fromEntries(this.#runs.map((run) => [run.name, run.answer()]));
  }
}

/** Every part is the same object as before. */
function isSame(a: CheckSubject | undefined, b: CheckSubject | undefined): boolean {
  return a?.queue === b?.queue && a?.template === b?.template && a?.resolved === b?.resolved;
}

class CheckRun {
  readonly name: CheckName;
  readonly #check: PreflightCheck;
  readonly #options: Omit<QueuePreflightOptions, 'checks'>;
  #subject: CheckSubject | undefined;
  #dependsOn: unknown;
  #answer: Check = CHECKING;
  #failures = 0;
  /** Raised with every question: an answer to an earlier one is dropped. */
  #question = 0;
  #cancelTimer: (() => void) | undefined;

  constructor(check: PreflightCheck, options: Omit<QueuePreflightOptions, 'checks'>) {
    this.name = check.name;
    this.#check = check;
    this.#options = options;
  }

  answer(): Check {
    return this.#answer;
  }

  watch(subject: CheckSubject | undefined): void {
    this.#subject = subject;
    const dependsOn = subject && this.#check.dependsOn(subject);
    if (subject && isDeepStrictEqual(dependsOn, this.#dependsOn)) return;
    this.#dependsOn = dependsOn;
    this.#answer = CHECKING;
    this.#failures = 0;
    this.ask();
  }

  /** Asks now, or stops asking when there is nothing to ask about. */
  ask(): void {
    this.#cancelTimer?.();
    this.#question += 1;
    if (this.#subject) void this.#ask(this.#subject, this.#question);
  }

  async #ask(subject: CheckSubject, question: number): Promise<void> {
    const { answer, recheckAfterMs } = await this.#answerOf(subject);
    if (question !== this.#question) return;
    const { clock, onChange } = this.#options;
    const changed = !isDeepStrictEqual(answer, this.#answer);
    this.#answer = answer;
    this.#cancelTimer = clock.after(recheckAfterMs, () => this.ask());
    if (changed) onChange();
  }

  /** Never rejects. */
  async #answerOf(subject: CheckSubject): Promise<{ answer: Check; recheckAfterMs: number }> {
    try {
      const { recheckAfterMs, ...answer } = await this.#inTime(this.#check.run(subject));
      this.#failures = 0;
      const delayMs = Math.max(MIN_PERIOD_MS, recheckAfterMs ?? this.#period(answer));
      return { answer, recheckAfterMs: delayMs };
    } catch (error) {
      this.#failures += 1;
      this.#options.log.warn({ check: this.name, error: messageOf(error) }, 'check could not be done');
      const answer = this.#afterFailure(error);
      return { answer, recheckAfterMs: this.#period(answer) };
    }
  }

  async #inTime(asked: Promise<CheckAnswer>): Promise<CheckAnswer> {
    const deadline = Promise.withResolvers<never>();
    const cancel = this.#options.clock.after(DEADLINE_MS, () => {
      const message = `no answer within ${DEADLINE_MS / 1_000} seconds`;
      deadline.reject(new OperatorError({ code: 'CheckTimedOut', verdict: 'retry', message }));
    });
    return await Promise.race([asked, deadline.promise]).finally(cancel);
  }

  /** What was known goes on being so for a while, unless nothing was. */
  #afterFailure(error: unknown): Check {
    const mayPass = !(error instanceof OperatorError) || error.verdict === 'retry';
    const isHiccup = mayPass && this.#failures < FAILURES_BEFORE_UNKNOWN;
    if (isHiccup && this.#answer.reason !== CHECKING.reason) return this.#answer;
    const words = `This could not be checked, and messages run all the same: ${messageOf(error)}.`;
    return unchecked(hasCode(error, 'Forbidden') ? 'CheckForbidden' : 'CheckFailed', words);
  }

  #period({ status }: Check): number {
    const { random } = this.#options;
    if (status === 'True' && this.#failures === 0) return PASSED_PERIOD_MS * (0.75 + random() / 4);
    return FAILED_PERIOD_MS * (0.67 + random() / 3);
  }
}
