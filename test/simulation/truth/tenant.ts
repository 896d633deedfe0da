import type { ModelQueue } from '../sqs/model-queue.ts';
import type { Fate } from '../worker/fate.ts';
import type { Manner } from '../worker/report.ts';

/** One BatchQueue with its SQS queue and its worker program, as a simulation sets it up. */
export interface Tenant {
  /** Of the BatchQueue and of its SQS queue. */
  readonly name: string;
  readonly namespace: string;
  readonly model: ModelQueue;
  /** How its worker tells its outcome. */
  readonly manner: Manner;
  /** How long its work takes, in milliseconds. */
  readonly workMs: readonly [min: number, max: number];
  /** What becomes of each message, and how often somebody has worked on it. */
  readonly fates: Map<string, Fate>;
  readonly executions: Map<string, number>;
  /** The spec as last applied; its image changes with edits. */
  spec: Readonly<Record<string, unknown>>;
  /** Every maxConcurrentJobs that was ever asked for. */
  readonly limits: number[];
  /** Nothing goes wrong in the work from now on. */
  healed: boolean;
}
