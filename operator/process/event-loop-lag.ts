import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Clock, Log } from '../ports.ts';

/** How often the loop is asked, in milliseconds: a lag shorter than this is no lag. */
const RESOLUTION_MS = 20;
/** How often a long lag is looked for, to be logged. */
const LOOK_MS = 10_000;
/** Renewals of all kinds have seconds in hand; from here on somebody should know. */
const LONG_MS = 1_000;
const NS_PER_MS = 1e6;

export interface Lag {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

/**
 * How late the event loop is. Everything in this process waits for it: while it stands still no lease is renewed and no
 * message received. A process that was stopped from outside shows here too.
 */
export class EventLoopLag {
  readonly #histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  readonly #log: Log;
  readonly #clock: Clock;
  #cancel = (): void => undefined;

  constructor(clock: Clock, log: Log) {
    this.#clock = clock;
    this.#log = log;
  }

  start(): void {
    this.#histogram.enable();
    this.#look();
  }

  stop(): void {
    this.#cancel();
    this.#histogram.disable();
  }

  /** Of the last seconds: since the last look, which are ten seconds apart. */
  read(): Lag {
    return {
      p50Ms: lagOf(this.#histogram.percentile(50)),
      p99Ms: lagOf(this.#histogram.percentile(99)),
      maxMs: lagOf(this.#histogram.max),
    };
  }

  #look(): void {
    const { maxMs } = this.read();
    if (maxMs >= LONG_MS) this.#log.warn({ maxMs: Math.round(maxMs) }, 'the event loop stood still');
    this.#histogram.reset();
    this.#cancel = this.#clock.after(LOOK_MS, () => this.#look());
  }
}

/** The histogram holds the time between two looks, of which one resolution is not late. */
function lagOf(nanoseconds: number): number {
  return Math.max(0, nanoseconds / NS_PER_MS - RESOLUTION_MS);
}
