/** How a worker ends: the only table of exit codes (the numbers of sysexits.h). */
import { type Verdict, WorkerError } from './errors.ts';

/** The operator reads 0, 65, 75 and 78; 64 belongs to a program that is called by hand. */
export const EXIT = { done: 0, usage: 64, reject: 65, retry: 75, misconfigured: 78 } as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/**
 * The exit code for all that failed in one run. A wrong set-up outweighs everything, because it stops the queue from
 * wasting messages; a failure that may pass outweighs a final one, because the run has to be repeated for it anyway
 * (what is final is named in the result).
 */
export function exitCodeFor(failures: readonly Verdict[]): ExitCode {
  for (const verdict of ['usage', 'misconfigured', 'retry', 'reject'] as const) {
    if (failures.includes(verdict)) return EXIT[verdict];
  }
  return EXIT.done;
}

/** The verdict of whatever was thrown; an error nobody understood is retried, never the end of a message. */
export function verdictOf(error: unknown): Verdict {
  return error instanceof WorkerError ? error.verdict : 'retry';
}
