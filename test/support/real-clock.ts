import type { Clock } from '../../operator/ports.ts';

/** The machine's own time. Its timers do not keep a test run alive. */
export const realClock: Clock = {
  now: () => Date.now(),
  after: (delayMs, task) => {
    const timer = setTimeout(task, delayMs);
    timer.unref();
    return () => clearTimeout(timer);
  },
};
