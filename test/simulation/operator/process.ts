import type { Clock } from '../../../operator/ports.ts';
import type { SeededRandom } from '../../support/seeded-random.ts';
import type { VirtualClock } from '../../support/virtual-clock.ts';

/** Where in a request its process ends. */
export type CrashPoint = 'before it is sent' | 'when it is carried out' | 'when it is answered';

export interface ProcessOptions {
  readonly clock: VirtualClock;
  readonly random: SeededRandom;
  /** The process has crashed at a request. */
  readonly onCrash: () => void;
  /** The process goes round in circles without letting time pass. */
  readonly onStuck: () => void;
}

/** So many looks at the clock without time passing are an endless loop. */
const MOST_AT_ONCE = 30_000;

/**
 * The life of one process: nothing that it set going happens any more once it has ended, except that requests on the
 * wire may still be carried out. While it is paused (SIGSTOP, a blocked event loop) time goes on without it.
 */
export class Process {
  readonly #options: ProcessOptions;
  #alive = true;
  #askedAtMs = 0;
  #askedAtOnce = 0;
  #pausedUntilMs = 0;
  readonly #held: (() => void)[] = [];
  #crash: { requestsLeft: number; readonly point: CrashPoint } | undefined;

  constructor(options: ProcessOptions) {
    this.#options = options;
  }

  get alive(): boolean {
    return this.#alive;
  }

  /**
   * Timers in whole milliseconds, as the machine's own clock has them. Throws when it is asked over and over while no
   * time passes: promises that beget promises would keep the event loop from ever running again.
   */
  readonly clock: Clock = {
    now: () => this.#now(),
    after: (delayMs, task) => this.after(Math.ceil(Math.max(0, delayMs)), task),
  };

  /** What has waited for a process that stood still happens in the order in which it came. */
  #wake(): void {
    if (this.isPaused()) return;
    const held = this.#held.splice(0);
    for (const run of held) this.#options.clock.after(0, run);
  }

  #now(): number {
    const nowMs = this.#options.clock.now();
    this.#askedAtOnce = nowMs > this.#askedAtMs ? 0 : this.#askedAtOnce + 1;
    this.#askedAtMs = nowMs;
    if (this.#askedAtOnce === MOST_AT_ONCE) this.#options.onStuck();
    if (this.#askedAtOnce >= MOST_AT_ONCE) throw new Error('time stands still');
    return nowMs;
  }

  end(): void {
    this.#alive = false;
  }

  pause(ms: number): void {
    this.#pausedUntilMs = this.#options.clock.now() + ms;
    this.#options.clock.after(ms, () => this.#wake());
  }

  isPaused(): boolean {
    return this.#options.clock.now() < this.#pausedUntilMs;
  }

  /** Ends the process within its n-th request from now. */
  crashAt(requests: number, point: CrashPoint): void {
    this.#crash = { requestsLeft: requests, point };
  }

  /** No crash is planned any more. */
  calm(): void {
    this.#crash = undefined;
    this.#pausedUntilMs = 0;
    this.#wake();
  }

  /** Runs a task of this process later: when it does not stand still, and never when it has ended. */
  after(delayMs: number, task: () => void): () => void {
    let isCancelled = false;
    const run = () => {
      if (isCancelled || !this.#alive) return;
      if (this.isPaused()) this.#held.push(run);
      else task();
    };
    const cancelTimer = this.#options.clock.after(delayMs, run);
    return () => {
      isCancelled = true;
      cancelTimer();
    };
  }

  /** Resolves later in this process; never when it has ended by then. */
  sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.after(delayMs, resolve);
    });
  }

  /**
   * A request on the wire: carried out after that time whether or not its process still waits. One that has ended may
   * have taken it along.
   */
  onTheWire<T>(delayMs: number, carryOut: () => T | Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#options.clock.after(delayMs, () => {
        if (!this.#alive && this.#options.random.chance(0.5)) return;
        try {
          Promise.resolve(carryOut()).then(resolve, reject);
        } catch (error) {
          reject(error);
        }
      });
    });
  }

  /** To be called with each request; true when this is the one that the process ends in. */
  beginRequest(): (point: CrashPoint) => boolean {
    const crash = this.#crash;
    if (crash) crash.requestsLeft -= 1;
    const isLast = crash?.requestsLeft === 0;
    return (point) => {
      if (!isLast || crash.point !== point || !this.#alive) return false;
      this.end();
      this.#options.onCrash();
      return true;
    };
  }
}
