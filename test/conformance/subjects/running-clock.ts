import type { Clock } from '../../../operator/ports.ts';
import { VirtualClock } from '../../support/virtual-clock.ts';

/**
 * A virtual clock that moves by itself, as soon as nothing can happen any more without it: cases that wait for seconds
 * pass in no time. Only for what does no input or output.
 */
export class RunningClock implements Clock {
  readonly #clock = new VirtualClock();
  #running = false;

  now(): number {
    return this.#clock.now();
  }

  after(delayMs: number, task: () => void): () => void {
    const cancel = this.#clock.after(delayMs, task);
    void this.#run();
    return cancel;
  }

  async #run(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    await this.#clock.settle();
    for (let ms = this.#clock.nextInMs(); ms !== undefined; ms = this.#clock.nextInMs())
      await this.#clock.advance(ms);
    this.#running = false;
  }
}
