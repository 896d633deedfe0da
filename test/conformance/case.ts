import type { Stage } from './stage.ts';
import type { Feature } from './subject.ts';

/** One thing that SQS does, seen through the operator's port. */
export interface Case {
  /** A sentence; names the case in the table of deviations too. */
  readonly name: string;
  readonly needs?: readonly Feature[];
  /** What AWS does, as plain data. */
  readonly aws: unknown;
  readonly observe: (stage: Stage) => Promise<unknown>;
}
