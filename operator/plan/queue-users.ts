/** A BatchQueue that reads an SQS queue. */
export interface QueueUser {
  /** `namespace/name` */
  readonly key: string;
  readonly uid: string;
  /** Epoch ms. */
  readonly createdAtMs: number;
}

/**
 * Two readers of one queue would take each other's redeliveries, and each would run them anew. So only the oldest polls;
 * of equally old ones the one with the smaller uid, so that everybody who looks chooses the same.
 */
export function firstUser(users: Iterable<QueueUser>): QueueUser | undefined {
  return [...users].reduce<QueueUser | undefined>(
    (first, user) => (first && isBefore(first, user) ? first : user),
    undefined,
  );
}

function isBefore(a: QueueUser, b: QueueUser): boolean {
  return a.createdAtMs === b.createdAtMs ? a.uid < b.uid : a.createdAtMs < b.createdAtMs;
}
