import type { BatchQueueStatus } from '../api/batch-queue.ts';
import { isSameJson } from '../api/json.ts';
import { hasCode, messageOf, retryAfterMsOf } from '../errors.ts';
import type { KubeObject } from '../ports.ts';
import { BATCH_QUEUES } from '../world.ts';
import type { Subject, World } from './interpreter.ts';
import type { QueueSession, UnwrittenStatus } from './queue-session.ts';

/** Shortest time between two status writes of one BatchQueue, in milliseconds: counts move fast, people read slowly. */
const STATUS_PERIOD_MS = 500;
/** Longest time between two attempts to write a status, in milliseconds. */
const STATUS_RETRY_MAX_MS = 60_000;

/**
 * Begins to write the status if it differs from what stands there, one write of a BatchQueue at a time; no turn waits for
 * it. Returns after how many milliseconds to try again when it is too early, or when this process may not. A write that
 * fails is logged, never thrown. A crash before the write costs nothing: the next turn plans the same.
 */
export function writeStatus(
  status: BatchQueueStatus | undefined,
  subject: Subject,
  world: World,
): number | undefined {
  const { object, session, status: before } = subject;
  session.unwrittenStatus = undefined;
  if (!status || !object || isSameJson(status, before)) return undefined;
  const unwritten = { uid: object.metadata.uid, status };
  session.unwrittenStatus = unwritten;
  // Its end brings another turn.
  if (session.statusWrite) return undefined;
  const waitMs = session.statusDueAtMs - world.clock.now();
  if (waitMs > 0) return waitMs;
  if (!mayWrite(world)) return STATUS_RETRY_MAX_MS;
  session.statusWrite = send(unwritten, subject, world).finally(() => {
    session.statusWrite = undefined;
    if (session.unwrittenStatus) session.lookAgain();
  });
  return undefined;
}

/** Whoever leads writes it: another process, or this one in the turn that it gets when it leads again. */
function mayWrite({ fence }: World): boolean {
  try {
    fence?.permit('lead');
    return true;
  } catch (error) {
    if (hasCode(error, 'NotLeader')) return false;
    throw error;
  }
}

async function send(
  unwritten: UnwrittenStatus,
  { namespace, name, session }: Subject,
  world: World,
): Promise<void> {
  // The whole status is replaced, so that what is no longer true disappears; only of the object that was observed.
  const patch = [
    { op: 'test', path: '/metadata/uid', value: unwritten.uid },
    { op: 'add', path: '/status', value: unwritten.status },
  ];
  try {
    world.caches.batchQueues.put(
      await world.kube.patch(BATCH_QUEUES, namespace, name, patch, { type: 'json', subresource: 'status' }),
    );
  } catch (error) {
    noteFailure(error, session, world);
    return;
  }
  if (session.unwrittenStatus === unwritten) session.unwrittenStatus = undefined;
  session.statusFailures = 0;
  session.statusDueAtMs = world.clock.now() + STATUS_PERIOD_MS;
}

/** A status that cannot be written must not hurry anything else: it has a backoff of its own. */
function noteFailure(error: unknown, session: QueueSession, { clock, log }: World): void {
  if (hasCode(error, 'NotLeader')) return;
  session.statusFailures += 1;
  const backoffMs = Math.min(STATUS_RETRY_MAX_MS, STATUS_PERIOD_MS * 2 ** session.statusFailures);
  const delayMs = Math.max(backoffMs, retryAfterMsOf(error));
  session.statusDueAtMs = clock.now() + delayMs;
  log.warn(
    { failures: session.statusFailures, delayMs, error: messageOf(error) },
    'status could not be written',
  );
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
