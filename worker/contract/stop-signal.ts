/** SIGTERM: stop soon. */
import { WorkerError } from './errors.ts';

/**
 * A signal that is aborted by SIGTERM (the node is drained, the Job deleted or past its deadline), by SIGINT, or by
 * SIGHUP (the terminal was closed); its reason is a `retry` WorkerError. As process 1 of a container there is no default action for SIGTERM: without a handler it is
 * ignored until SIGKILL follows.
 */
export function stopSignal(): AbortSignal {
  const stop = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    process.on(name, () => stop.abort(new WorkerError('retry', `stopped by ${name} before the end`)));
  }
  return stop.signal;
}
