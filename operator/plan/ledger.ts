import { z } from 'zod';
import type { BatchQueue } from '../api/batch-queue.ts';
import { ANNOTATION_LEDGER, FINALIZER_SETTLEMENT } from '../api/names.ts';
import type { KubeObject } from '../ports.ts';
import { formatIndexes, parseIndexes } from './index-list.ts';
import type { Fate, Ledger, LedgerMessage } from './job-facts.ts';
import type { Message, QueueRef } from './message.ts';
import { readerOf } from './queue-reader.ts';
import { readJson } from './read-json.ts';
import { remember } from './remember.ts';

const text = z.string().min(1);
const count = z.int().min(0);

const messageSchema = z.object({
  id: text,
  receiptHandle: text,
  receiveCount: count,
  sentAtMs: count,
  receivedAtMs: count,
  groupId: text.optional(),
  sequenceNumber: text.optional(),
  refusedAtMs: count.optional(),
});

/** As it stands in the annotation: the namespace is the Job's own, whatever a text says. */
interface StoredLedger extends Omit<Ledger, 'queue'> {
  readonly queue: Omit<QueueRef, 'namespace'>;
}

const ledgerSchema: z.ZodType<StoredLedger> = z
  .object({
    queue: z.object({ url: text, arn: text, serviceAccountName: text.default('default') }),
    attempt: count,
    lock: count.optional(),
    run: z.int().min(1).default(1),
    visibilityTimeoutSeconds: count,
    messages: z.array(messageSchema).min(1),
    deleted: z.string().optional(),
    released: z.string().optional(),
    rejected: z.string().optional(),
  })
  .refine((ledger) => SETTLED_FATES.every((fate) => indexesWith(ledger, fate) !== undefined));

const SETTLED_FATES = ['deleted', 'released', 'rejected'] as const;

/** Every ledger has this; the text stays small with batches of a hundred. */
export function ledgerOf(
  messages: readonly Message[],
  {
    attempt,
    lock = attempt,
    run = 1,
    visibilityTimeoutSeconds,
  }: { attempt: number; lock?: number; run?: number; visibilityTimeoutSeconds: number },
): Ledger {
  const [first] = messages;
  if (!first) throw new Error('a ledger holds at least one message');
  const { queue } = first;
  const held = messages.map(ledgerMessageFrom);
  return { queue, attempt, ...(lock !== attempt && { lock }), run, visibilityTimeoutSeconds, messages: held };
}

/** What a Job must remember of a received message. */
export function ledgerMessageFrom(message: Message): LedgerMessage {
  const { id, receiptHandle, receiveCount, sentAtMs, receivedAtMs } = message;
  const groupId = groupOf(message);
  const remembered = { id, receiptHandle, receiveCount, sentAtMs, receivedAtMs };
  if (groupId === undefined) return remembered;
  return { ...remembered, groupId, sequenceNumber: message.attributes['SequenceNumber'] ?? '0' };
}

/** True for queues that keep the order of each message group. */
export function isFifo(queue: QueueRef): boolean {
  return queue.arn.endsWith('.fifo');
}

/** The message group on a FIFO queue. A standard queue may have the attribute too (fair queues): it orders nothing there. */
export function groupOf({ queue, attributes }: Pick<Message, 'queue' | 'attributes'>): string | undefined {
  return isFifo(queue) ? (attributes['MessageGroupId'] ?? '') || 'default' : undefined;
}

/** What became of each message, by index. */
export function fatesOf(ledger: Ledger): readonly Fate[] {
  const fates: Fate[] = ledger.messages.map(() => 'held');
  for (const fate of SETTLED_FATES) for (const index of indexesWith(ledger, fate) ?? []) fates[index] = fate;
  return fates;
}

/** The ledger after these messages have met their fates. */
export function withFates(ledger: Ledger, fates: ReadonlyMap<number, Exclude<Fate, 'held'>>): Ledger {
  const lists = SETTLED_FATES.map((fate) => {
    const known = indexesWith(ledger, fate) ?? [];
    const added = [...fates].filter(([, met]) => met === fate).map(([index]) => index);
    return [fate, formatIndexes(new Set([...known, ...added]))] as const;
  });
  return { ...ledger, ...Object.fromEntries(lists) };
}

function indexesWith(
  ledger: Omit<Ledger, 'queue'>,
  fate: (typeof SETTLED_FATES)[number],
): ReadonlySet<number> | undefined {
  return parseIndexes(ledger[fate] ?? '', ledger.messages.length);
}

/**
 * As whom the messages of a ledger are renewed and settled: as whoever reads its queue now, because the ServiceAccount that
 * read them may be gone. As that one where no BatchQueue reads it.
 */
export function settledThrough(
  { queue }: Ledger,
  live: BatchQueue | undefined,
  polledArn: string | undefined,
): QueueRef {
  return live && polledArn === queue.arn ? { ...readerOf(live), arn: queue.arn } : queue;
}

/** Names a message: a redrive keeps its id, so in a dead-letter queue and in its source it is not the same one. */
export function messageKey(queue: QueueRef | undefined, messageId: string): string {
  return `${queue?.arn} ${messageId}`;
}

/** The annotation's text. */
export function formatLedger({ queue: { url, arn, serviceAccountName }, ...ledger }: Ledger): string {
  const stored: StoredLedger = { queue: { url, arn, serviceAccountName }, ...ledger };
  return JSON.stringify(stored);
}

/**
 * Reads a Job's ledger. Anybody who may edit Jobs may have edited it, so every field is checked; undefined when it
 * cannot be relied on.
 */
export function parseLedger({ metadata }: KubeObject): Ledger | undefined {
  const stored = metadata.annotations && storedLedgerIn(metadata.annotations);
  return stored && { ...stored, queue: { ...stored.queue, namespace: metadata.namespace ?? '' } };
}

/** Versions of a Job may share their annotations, and reading a ledger is most of reading a Job. */
const storedLedgerIn = remember((annotations: Readonly<Record<string, string>>) =>
  readJson(annotations[ANNOTATION_LEDGER], ledgerSchema),
);

/** True while a settlement is still owed. */
export function hasSettlementFinalizer(job: KubeObject): boolean {
  return job.metadata.finalizers?.includes(FINALIZER_SETTLEMENT) ?? false;
}
