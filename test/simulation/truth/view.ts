import type { Clock, KubeObject } from '../../../operator/ports.ts';
import type { UserEvent } from '../../../operator/world.ts';
import type { ApiServer } from '../kubernetes/api-server.ts';
import type { ModelQueue, QueueWatcher } from '../sqs/model-queue.ts';
import type { Book, BookReader } from './book.ts';
import type { Tenant } from './tenant.ts';

/** One request that an operator sent, e.g. `create jobs x` or `receive 10 of orders`. */
export interface SentRequest {
  readonly what: string;
  readonly atMs: number;
  readonly by: string;
}

/** What a check may look at: the truth, never the operator's own view. */
export interface WorldView {
  readonly clock: Clock;
  readonly api: ApiServer;
  readonly book: Book;
  readonly tenants: readonly Tenant[];
  readonly requests: readonly SentRequest[];
  readonly events: readonly UserEvent[];
  /** Who acts at the moment: an operator's process, or `world`. */
  readonly actor: string;
  /** Since when everything is expected to be at rest, epoch ms. */
  readonly restSinceMs: number;
  /** No fault, no crash, no second operator: then nothing is forgiven. */
  readonly isFair: boolean;
  /** SQS always answers and the one operator runs on: then no lease lapses, whatever Kubernetes does. */
  readonly keepsLeases: boolean;
  /** The queue that this message was sent to. */
  queueOf(messageId: string): ModelQueue | undefined;
  tenantOf(batchQueue: string): Tenant | undefined;
}

/** What may be watched, as it happens. */
export interface Witness extends BookReader, QueueWatcher {
  /** A user changed a BatchQueue, or the operators changed. */
  disturbed(what: string): void;
  told(event: UserEvent): void;
  objectGone(plural: string, object: KubeObject): void;
}

/** Something that must always hold. */
export interface Invariant {
  /** As in the list of invariants that this project works with. */
  readonly id: string;
  /** Short, with hyphens. */
  readonly name: string;
  readonly sentence: string;
  /** Watches as things happen. */
  readonly watch?: (world: WorldView, broken: (text: string) => void) => Partial<Witness>;
  /** Looks at the world when everything has had time to come to rest. */
  readonly atEnd?: (world: WorldView, broken: (text: string) => void) => void;
}

/** An invariant that did not hold. */
export interface Violation {
  readonly invariant: string;
  readonly text: string;
  readonly atMs: number;
}
