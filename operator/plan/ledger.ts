import { ANNOTATION_LEDGER, FINALIZER_SETTLEMENT } from '../api/names.ts';
import type { KubeObject } from '../ports.ts';
import type { Ledger, LedgerMessage, Message } from './types.ts';

/** What a Job must remember of a received message. */
export function ledgerMessageFrom(message: Message): LedgerMessage {
  const { id, receiptHandle, receiveCount, sentAtMs, receivedAtMs } = message;
  return { id, receiptHandle, receiveCount, sentAtMs, receivedAtMs };
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
  const text = job.metadata.annotations?.[ANNOTATION_LEDGER];
  if (text === undefined) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  return isLedger(value) ? value : undefined;
}

/** True while a settlement is still owed. */
export function hasSettlementFinalizer(job: KubeObject): boolean {
  return job.metadata.finalizers?.includes(FINALIZER_SETTLEMENT) ?? false;
}

function isLedger(value: unknown): value is Ledger {
  if (!isRecord(value) || !isRecord(value['queue'])) return false;
  return (
    isText(value['queue']['url']) &&
    isText(value['queue']['arn']) &&
    isCount(value['attempt']) &&
    isCount(value['visibilityTimeoutSeconds']) &&
    Array.isArray(value['messages']) &&
    value['messages'].length > 0 &&
    value['messages'].every(isLedgerMessage)
  );
}

function isLedgerMessage(value: unknown): value is LedgerMessage {
  return (
    isRecord(value) &&
    isText(value['id']) &&
    isText(value['receiptHandle']) &&
    isCount(value['receiveCount']) &&
    isCount(value['sentAtMs']) &&
    isCount(value['receivedAtMs'])
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
