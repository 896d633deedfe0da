import { z } from 'zod';
import { ANNOTATION_LEDGER, FINALIZER_SETTLEMENT } from '../api/names.ts';
import type { KubeObject } from '../ports.ts';
import { readJson } from './read-json.ts';
import type { Ledger, LedgerMessage, Message, QueueRef } from './types.ts';

const text = z.string().min(1);
const count = z.int().min(0);

const ledgerSchema = z.object({
  queue: z.object({ url: text, arn: text }),
  attempt: count,
  visibilityTimeoutSeconds: count,
  messages: z
    .array(
      z.object({ id: text, receiptHandle: text, receiveCount: count, sentAtMs: count, receivedAtMs: count }),
    )
    .min(1),
});

/** What a Job must remember of a received message. */
export function ledgerMessageFrom(message: Message): LedgerMessage {
  const { id, receiptHandle, receiveCount, sentAtMs, receivedAtMs } = message;
  return { id, receiptHandle, receiveCount, sentAtMs, receivedAtMs };
}

/** Names a message: a redrive keeps its id, so in a dead-letter queue and in its source it is not the same one. */
export function messageKey(queue: QueueRef | undefined, messageId: string): string {
  return `${queue?.arn} ${messageId}`;
}

/** The annotation's text. */
export function formatLedger(ledger: Ledger): string {
  return JSON.stringify(ledger);
}

/**
 * Reads a Job's ledger. Anybody who may edit Jobs may have edited it, so every field is checked; undefined when it
 * cannot be relied on.
 */
export function parseLedger(job: KubeObject): Ledger | undefined {
  return readJson(job.metadata.annotations?.[ANNOTATION_LEDGER], ledgerSchema);
}

/** True while a settlement is still owed. */
export function hasSettlementFinalizer(job: KubeObject): boolean {
  return job.metadata.finalizers?.includes(FINALIZER_SETTLEMENT) ?? false;
}
