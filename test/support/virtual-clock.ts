import { setImmediate } from 'node:timers';
import type { Clock } from '../../operator/ports.ts';

interface Timer {
  readonly dueAt: number;
  readonly order: number;
  readonly task: () => void;
}

/**
 * A clock that stands still until a test moves it. Timers run in order of their time, then of their creation, each with
 * `now()` at its own time, and everything that promises can do happens before the next one. No real time passes.
 */
export class VirtualClock implements Clock {
  #nowMs: number;
  #order = 0;
  readonly #timers = new Set<Timer>();

  constructor(startMs = Date.UTC(2026, 0, 1)) {
    this.#nowMs = startMs;
  }

  now(): number {
    return this.#nowMs;
  }

  after(delayMs: number, task: () => void): () => void {
    this.#order += 1;
    const timer = { dueAt: this.#nowMs + Math.max(0, delayMs), order: this.#order, task };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** How many timers wait; 0 after a `stop()` that cleaned up. */
  pending(): number {
    return this.#timers.size;
  }

  /** Milliseconds until the next timer; undefined when none waits. */
  nextInMs(): number | undefined {
    const next = this.#next();
    return next === undefined ? undefined : next.dueAt - this.#nowMs;
  }

  /** Lets everything happen that needs no time. */
  async settle(): Promise<void> {
    await new Promise<void>((resolve) => setImmediate(resolve));
  }

  /** Moves time forward by `ms`, running what falls due on the way, also what is set on the way. */
  async advance(ms: number): Promise<void> {
    const endAt = this.#nowMs + ms;
    await this.settle();
    for (let timer = this.#next(); timer !== undefined && timer.dueAt <= endAt; timer = this.#next()) {
      this.#timers.delete(timer);
      this.#nowMs = timer.dueAt;
      timer.task();
      await this.settle();
    }
    this.#nowMs = endAt;
  }

  #next(): Timer | undefined {
    let next: Timer | undefined;
    for (const timer of this.#timers) {
      const isEarlier =
        next === undefined ||
        timer.dueAt < next.dueAt ||
        (timer.dueAt === next.dueAt && timer.order < next.order);
      if (isEarlier) next = timer;
    }
    return next;
  }
}
