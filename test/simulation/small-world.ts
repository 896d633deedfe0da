import type { KubeObject } from '../../operator/ports.ts';
import { BATCH_QUEUES } from '../../operator/world.ts';
import { INVARIANTS } from './invariants/table.ts';
import type { ModelQueue } from './sqs/model-queue.ts';
import { Book } from './truth/book.ts';
import type { Tenant } from './truth/tenant.ts';
import { World } from './world.ts';

const NAME = 'orders';

/** A world with one BatchQueue and one operator, for tests that tell a story of their own. Every invariant is watched. */
export class SmallWorld extends World {
  readonly tenant: Tenant;
  readonly sqs: ModelQueue;

  constructor(seed = 1, { fifo = false } = {}) {
    super({ seed, invariants: INVARIANTS });
    this.tenant = this.addTenant({ name: NAME, maxReceiveCount: 5, fifo });
    this.sqs = this.tenant.model;
    // Stories have faults in them.
    this.isFair = false;
    this.keepsLeases = false;
  }

  /** Makes the BatchQueue, or replaces the spec of the one there is. */
  applySpec(spec: object, image?: string): void {
    this.apply(this.tenant, spec, image);
  }

  object(): KubeObject | undefined {
    return this.batchQueue(this.tenant);
  }

  deleteBatchQueue(propagationPolicy: 'Background' | 'Foreground' | 'Orphan' = 'Background'): void {
    this.api.delete(BATCH_QUEUES, this.tenant.namespace, NAME, { propagationPolicy });
  }

  /** How every pod goes from now on. */
  workersRun(runsForMs: number, exitCode: number, report?: string): void {
    const everything = new Set(Array.from({ length: 100 }, (_, index) => index));
    const none = new Set<number>();
    const outcome = {
      exitCode,
      report: report ?? (exitCode === 0 ? '' : `ended with ${exitCode}`),
      // A report of its own may contradict the exit code; then nothing is done on its word.
      done: exitCode === 0 && report === undefined ? everything : none,
      rejected: exitCode === 65 ? everything : none,
    };
    this.course = () => ({ runsForMs, outcome });
  }

  /** True once a Job with the message has ended well. */
  isDone(messageId: string): boolean {
    return this.book.runsOf(messageId).some((run) => Book.unitOf(run, messageId)?.state === 'done');
  }

  /** The most requests that were sent within one second: an operator that turns in circles shows here. */
  busiestSecond(): number {
    const seconds = new Map<number, number>();
    for (const { atMs } of this.requests) {
      const second = Math.floor(atMs / 1_000);
      seconds.set(second, (seconds.get(second) ?? 0) + 1);
    }
    return Math.max(0, ...seconds.values());
  }
}
