import { randomUUID } from 'node:crypto';
import type { QueueRef } from '../plan/message.ts';
import { readerKey } from '../plan/queue-reader.ts';
import type { Clock } from '../ports.ts';
import type { ReceiveOptions } from '../world.ts';

/** SQS remembers a receive for five minutes; the rest is for clocks that differ. */
const REMEMBERED_MS = 4 * 60_000;
/** So much must be left of the timeout that what comes can still be claimed under it, in milliseconds. */
const CLAIM_MS = 10_000;

/** One receive, or its repetition. */
export interface ReceiveAttempt {
  /** SQS's ReceiveRequestAttemptId. */
  readonly id: string;
  /** When the first request with this id started, epoch ms: SQS may have counted timeouts from then. */
  readonly startedAtMs: number;
  readonly options: ReceiveOptions;
}

/**
 * Receives of FIFO queues whose answers were lost. SQS may have handed messages to such a receive, and their groups stay
 * locked until the timeout ends; but it hands the same messages out again to whoever repeats it with the same id. The
 * next receive of the queue does that, whenever its loop comes to it.
 *
 * Repeated is only what can have been carried out and was not answered: after a refusal (throttling, say) SQS no longer
 * takes the id. And only as long as SQS remembers it and its messages can still be claimed; later they come by themselves.
 */
export class ReceiveAttempts {
  readonly #clock: Clock;
  readonly #lost = new Map<string, readonly ReceiveAttempt[]>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The attempt to make now: a lost one of this queue that asked for the same, or a new one. */
  begin(queue: QueueRef, options: ReceiveOptions): ReceiveAttempt {
    const lost = (this.#lost.get(readerKey(queue)) ?? []).filter((attempt) => this.#isRemembered(attempt));
    const again = lost.find((attempt) => isSameRequest(attempt.options, options));
    this.#keep(
      queue,
      lost.filter((attempt) => attempt !== again),
    );
    return again ?? { id: randomUUID(), startedAtMs: this.#clock.now(), options };
  }

  /** The attempt may have been carried out, and its answer will never be known. */
  lost(queue: QueueRef, attempt: ReceiveAttempt): void {
    this.#keep(queue, [...(this.#lost.get(readerKey(queue)) ?? []), attempt]);
  }

  #keep(queue: QueueRef, attempts: readonly ReceiveAttempt[]): void {
    if (attempts.length > 0) this.#lost.set(readerKey(queue), attempts);
    else this.#lost.delete(readerKey(queue));
  }

  #isRemembered({ startedAtMs, options }: ReceiveAttempt): boolean {
    const usefulForMs = options.visibilityTimeoutSeconds * 1000 - CLAIM_MS;
    return this.#clock.now() - startedAtMs < Math.min(REMEMBERED_MS, usefulForMs);
  }
}

function isSameRequest(a: ReceiveOptions, b: ReceiveOptions): boolean {
  return (
    a.max === b.max &&
    a.visibilityTimeoutSeconds === b.visibilityTimeoutSeconds &&
    a.waitSeconds === b.waitSeconds
  );
}
