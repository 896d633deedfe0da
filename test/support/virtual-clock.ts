import { setImmediate } from 'node:timers';
import type { Clock } from '../../operator/ports.ts';

interface Timer {
  readonly dueAt: number;
  readonly order: number;
  /** Undefined once it ran or was cancelled. */
  task: (() => void) | undefined;
}

/** So many timers at one instant are an endless loop: time would never go on. */
const MOST_AT_ONCE = 20_000;
/** How many turns of the event loop are asked for at once; what they cost is going through the loop. */
const TURNS_AT_ONCE = 64;

/**
 * A clock that stands still until a test moves it. Timers run in order of their time, then of their creation, each with
 * `now()` at its own time, and everything that promises can do happens before the next one. No real time passes.
 */
export class VirtualClock implements Clock {
  #nowMs: number;
  #order = 0;
  #live = 0;
  #ranAtOnce = 0;
  /** A binary heap, the next timer first; cancelled timers stay until they come up. */
  readonly #heap: Timer[] = [];

  constructor(startMs = Date.UTC(2026, 0, 1)) {
    this.#nowMs = startMs;
  }

  now(): number {
    return this.#nowMs;
  }

  after(delayMs: number, task: () => void): () => void {
    this.#order += 1;
    this.#live += 1;
    const timer: Timer = { dueAt: this.#nowMs + Math.max(0, delayMs), order: this.#order, task };
    this.#push(timer);
    return () => {
      if (timer.task) this.#live -= 1;
      timer.task = undefined;
    };
  }

  /** How many timers wait; 0 after a `stop()` that cleaned up. */
  pending(): number {
    return this.#live;
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

  /** Moves time forward by `ms`, running what falls due on the way, also what is set on the way. Rejects with what a timer throws. */
  async advance(ms: number): Promise<void> {
    const endAt = this.#nowMs + ms;
    await new Promise<void>((resolve, reject) => this.#runUntil(endAt, resolve, reject));
    this.#nowMs = endAt;
  }

  /**
   * One timer per turn of the event loop, because Node drains promises between two turns. Turns are asked for in
   * bundles: a turn that finds nothing left to do is cheaper than going once around the loop for each.
   */
  #runUntil(endAt: number, resolve: () => void, reject: (reason: unknown) => void): void {
    let isDone = false;
    const turn = () => {
      if (isDone) return;
      const next = this.#next();
      if (next === undefined || next.dueAt > endAt) {
        isDone = true;
        resolve();
        return;
      }
      try {
        this.#run(next);
      } catch (error) {
        isDone = true;
        reject(error);
      }
    };
    const bundle = () => {
      if (isDone) return;
      for (let turns = 0; turns < TURNS_AT_ONCE; turns += 1) setImmediate(turn);
      setImmediate(bundle);
    };
    bundle();
  }

  #run(timer: Timer): void {
    this.#pop();
    this.#ranAtOnce = timer.dueAt > this.#nowMs ? 0 : this.#ranAtOnce + 1;
    if (this.#ranAtOnce > MOST_AT_ONCE)
      throw new Error('time stands still: something goes on without a pause');
    this.#nowMs = timer.dueAt;
    const { task } = timer;
    timer.task = undefined;
    this.#live -= 1;
    task?.();
  }

  #next(): Timer | undefined {
    while (this.#heap[0] && this.#heap[0].task === undefined) this.#pop();
    return this.#heap[0];
  }

  #push(timer: Timer): void {
    const heap = this.#heap;
    let index = heap.push(timer) - 1;
    while (index > 0) {
      const above = (index - 1) >> 1;
      const parent = heap[above];
      if (!parent || !isBefore(timer, parent)) break;
      heap[index] = parent;
      index = above;
    }
    heap[index] = timer;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (!last || heap.length === 0) return;
    let index = 0;
    for (;;) {
      const below = 2 * index + 1;
      const left = heap[below];
      const right = heap[below + 1];
      const child = left && right && isBefore(right, left) ? right : left;
      if (!child || !isBefore(child, last)) break;
      heap[index] = child;
      index = child === left ? below : below + 1;
    }
    heap[index] = last;
  }
}

function isBefore(a: Timer, b: Timer): boolean {
  return a.dueAt < b.dueAt || (a.dueAt === b.dueAt && a.order < b.order);
}
