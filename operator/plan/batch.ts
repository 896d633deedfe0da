import type { Claim } from './job-facts.ts';
import type { DispatchContext, JudgedMessage, Runnable } from './judged-message.ts';
import { outlivesCreate } from './lease.ts';
import { groupOf } from './ledger.ts';
import type { InboxMessage } from './message.ts';
import { inOrder } from './message-group.ts';
import { MAX_BATCH_BYTES, recordBytes } from './messages-file.ts';

/** With a window of 0 a batch waits this long for a receive that follows a full one, in milliseconds. */
const LINGER_MS = 200;

export interface Batches {
  /** To be run now, each as one Job; never more than there are slots. */
  readonly closed: readonly (readonly Runnable[])[];
  /** When the next open one closes by itself, epoch ms. */
  readonly closesAtMs: number | undefined;
  /** Something waits for a consistent list of the queue's Jobs. */
  readonly needsList: boolean;
}

/**
 * Puts messages together that run as one Job: of one attempt, and on FIFO queues of one group, in order, while no other
 * Job has the group. A batch closes when it is full, when its oldest message has waited for the window, or when no
 * more can be expected to come soon.
 *
 * The Job's name is a lock for its first message, and for an attempt that everybody counts alike. So a message that was
 * received before, and whose last attempt is not known here, joins a Job only after a list of Jobs that was begun after
 * its receive and shows none with it: a cache may be behind, or the message be in a batch under another name. On FIFO queues
 * every message waits for such a list: SQS gives out the next one of a group also when those before it went to the
 * dead-letter queue while their Job, which the cache may not show, still runs.
 */
export function batches(
  runnable: readonly Runnable[],
  judged: readonly JudgedMessage[],
  context: DispatchContext,
): Batches {
  const { queue, nowMs, jobsListedAtMs, slots } = context;
  if (!queue) return { closed: [], closesAtMs: undefined, needsList: false };
  const ready = runnable.filter(({ message }) => outlivesCreate(message.trustedUntilMs, nowMs));
  const unlisted = ready.filter(({ message, isSure }) => {
    return (!isSure || groupOf(message) !== undefined) && message.arrivedAtMs >= jobsListedAtMs;
  });
  const excluded = new Set(unlisted);
  const candidates = nextOfGroups(
    ready.filter((one) => !excluded.has(one)),
    judged,
    context.claims,
  );
  const closing = candidates
    .flatMap((members) => split(members, queue.spec.queue.batchSize))
    .map((formed) => ({ batch: formed.batch, atMs: closesAt(formed, context) }));
  const due = closing.filter(({ atMs }) => atMs <= nowMs);
  const open = closing.filter(({ atMs }) => atMs > nowMs).map(({ atMs }) => atMs);
  return {
    // With more Jobs than may run there are fewer than no slots.
    closed: due.slice(0, Math.max(0, slots)).map(({ batch }) => batch),
    closesAtMs: open.length > 0 && slots > 0 ? Math.min(...open) : undefined,
    needsList: unlisted.length > 0 && slots > 0,
  };
}

/** What may be put together: by attempt; on FIFO queues the head of each group that no Job has. */
function nextOfGroups(
  ready: readonly Runnable[],
  judged: readonly JudgedMessage[],
  claims: readonly Claim[],
): readonly (readonly Runnable[])[] {
  const plain = ready.filter(({ message }) => groupOf(message) === undefined);
  const byAttempt = Map.groupBy(plain, ({ attempt }) => attempt);
  const grouped = judged.filter(({ message }) => groupOf(message) !== undefined);
  return [...byAttempt.values(), ...(grouped.length > 0 ? headsOfGroups(grouped, ready, claims) : [])];
}

function headsOfGroups(
  judged: readonly JudgedMessage[],
  ready: readonly Runnable[],
  claims: readonly Claim[],
): readonly (readonly Runnable[])[] {
  const groups = Map.groupBy(judged, ({ message }) => groupOf(message));
  // What only waits to be deleted has been done: nothing has to wait behind it.
  const busy = new Set(
    claims.flatMap(({ held }) =>
      held.filter(({ refusedAtMs }) => refusedAtMs === undefined).map(({ groupId }) => groupId),
    ),
  );
  const may = new Map(ready.map((one) => [one.message, one]));
  const heads = [...groups].flatMap(([group, members]) => {
    if (busy.has(group)) return [];
    return [headOf(inOrder(members.map(({ message }) => message)), may)];
  });
  return heads.filter((head) => head.length > 0);
}

/** The first messages of a group, as far as they may run and are of one attempt. */
function headOf(
  ordered: readonly InboxMessage[],
  may: ReadonlyMap<InboxMessage, Runnable>,
): readonly Runnable[] {
  const head: Runnable[] = [];
  for (const message of ordered) {
    const one = may.get(message);
    if (!one || (head[0] && head[0].attempt !== one.attempt)) return head;
    head.push(one);
  }
  return head;
}

interface FormedBatch {
  readonly batch: readonly Runnable[];
  /** Nothing can join it any more. */
  readonly isFull: boolean;
}

/**
 * Cuts into batches by number and by size of the messages file. On FIFO queues only the first may run, and waits for
 * nothing: SQS gives out no more of a group while some of it are held.
 */
function split(members: readonly Runnable[], batchSize: number): readonly FormedBatch[] {
  const [first] = members;
  const isGroup = first && groupOf(first.message) !== undefined;
  if (batchSize === 1)
    return members.slice(0, isGroup ? 1 : undefined).map((one) => ({ batch: [one], isFull: true }));
  const formed: Runnable[][] = [];
  let bytes = 0;
  for (const one of members) {
    const size = recordBytes(one.message, one.attempt);
    const open = formed.at(-1);
    const fits = open && open.length < batchSize && bytes + size <= MAX_BATCH_BYTES;
    if (fits) open.push(one);
    else formed.push([one]);
    bytes = fits ? bytes + size : size;
  }
  if (isGroup) return formed.slice(0, 1).map((batch) => ({ batch, isFull: true }));
  return formed.map((batch, position) => ({
    batch,
    isFull: batch.length >= batchSize || position < formed.length - 1,
  }));
}

/** When a batch is to be run, epoch ms; in the past: now. */
function closesAt({ batch, isFull }: FormedBatch, { queue, arrivals }: DispatchContext): number {
  if (isFull || arrivals === 'none') return 0;
  const windowSeconds = queue?.spec.queue.batchWindowSeconds ?? 0;
  const oldestMs = Math.min(...batch.map(({ message }) => message.arrivedAtMs));
  if (windowSeconds > 0) return oldestMs + windowSeconds * 1000;
  return arrivals === 'likely' ? oldestMs + LINGER_MS : 0;
}
