import type { BatchQueueStatus } from '../api/batch-queue.ts';
import { isSameJson } from '../api/json.ts';
import { hasCode, messageOf, retryAfterMsOf } from '../errors.ts';
import type { KubeObject } from '../ports.ts';
import { BATCH_QUEUES } from '../world.ts';
import type { Subject, World } from './interpreter.ts';
import type { QueueSession } from './queue-session.ts';

/** Shortest time between two status writes of one BatchQueue, in milliseconds: counts move fast, people read slowly. */
const STATUS_PERIOD_MS = 500;
/** Longest time between two attempts to write a status, in milliseconds. */
const STATUS_RETRY_MAX_MS = 60_000;

/**
 * Writes the status if it differs from what stands there. Returns after how many milliseconds to try again when it is
 * too early, or when the write failed (which is logged, and never thrown). A crash before the write costs nothing: the
 * next turn plans the same.
 */
export async function writeStatus(
  status: BatchQueueStatus | undefined,
  { namespace, name, object, session, status: before }: Subject,
  world: World,
): Promise<number | undefined> {
  session.unwrittenStatus = undefined;
  if (!status || !object || isSameJson(status, before)) return undefined;
  session.unwrittenStatus = { uid: object.metadata.uid, status };
  const waitMs = session.statusDueAtMs - world.clock.now();
  if (waitMs > 0) return waitMs;
  // The whole status is replaced, so that what is no longer true disappears; only of the object that was observed.
  const patch = [
    { op: 'test', path: '/metadata/uid', value: object.metadata.uid },
    { op: 'add', path: '/status', value: status },
  ];
  try {
    world.caches.batchQueues.put(
      await world.kube.patch(BATCH_QUEUES, namespace, name, patch, { type: 'json', subresource: 'status' }),
    );
  } catch (error) {
    return statusFailed(error, session, world);
  }
  session.unwrittenStatus = undefined;
  session.statusFailures = 0;
  session.statusDueAtMs = world.clock.now() + STATUS_PERIOD_MS;
  return undefined;
}

/** A status that cannot be written must not hurry anything else: it has a backoff of its own. */
function statusFailed(error: unknown, session: QueueSession, { clock, log }: World): number {
  // Whoever leads writes it: another process, or this one in the turn that it gets when it leads again.
  if (hasCode(error, 'NotLeader')) return STATUS_RETRY_MAX_MS;
  session.statusFailures += 1;
  const backoffMs = Math.min(STATUS_RETRY_MAX_MS, STATUS_PERIOD_MS * 2 ** session.statusFailures);
  const delayMs = Math.max(backoffMs, retryAfterMsOf(error));
  session.statusDueAtMs = clock.now() + delayMs;
  log.warn(
    { failures: session.statusFailures, delayMs, error: messageOf(error) },
    'status could not be written',
  );
  return delayMs;
}

/** What has been planned for this very object and not been written yet. */
export function unwrittenOf(
  { unwrittenStatus }: QueueSession,
  object: KubeObject | undefined,
): BatchQueueStatus | undefined {
  return unwrittenStatus?.uid === object?.metadata.uid ? unwrittenStatus?.status : undefined;
}

/** The status that an object carries; empty when it has none. */
export function statusOf(object: KubeObject | undefined): BatchQueueStatus {
  return object?.['status'] ?? {};
}
