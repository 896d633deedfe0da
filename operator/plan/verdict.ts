import type { Problem } from './problem.ts';

/** What a condition says, before it is known since when. */
export interface Verdict {
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  /** CamelCase, documented in docs/operations.md. */
  readonly reason: string;
  /** Stable between turns: no times, no counts that move. */
  readonly message: string;
  /** No message is received while it says so; the summaries take their words from it. */
  readonly holdsIntake: boolean;
}

/** Something is so, or nothing is to be said against it. */
export function isTrue(type: string, reason: string, message: string): Verdict {
  return { type, status: 'True', reason, message, holdsIntake: false };
}

/** Something is not so, and messages run all the same. */
export function isFalse(type: string, { reason, message }: Problem): Verdict {
  return { type, status: 'False', reason, message, holdsIntake: false };
}

/** The same, and no message is received while it lasts. */
export function holding(type: string, { reason, message }: Problem): Verdict {
  return { type, status: 'False', reason, message, holdsIntake: true };
}

/** Nobody has answered yet. */
export function checking(type: string, message: string): Verdict {
  return { type, status: 'Unknown', reason: 'Checking', message, holdsIntake: false };
}
