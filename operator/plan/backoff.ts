import { createHash } from 'node:crypto';

/** SQS allows no visibility timeout above twelve hours. */
export const MAX_VISIBILITY_SECONDS = 43_200;

export interface Backoff {
  readonly minBackoffSeconds: number;
  readonly maxBackoffSeconds: number;
}

/**
 * Seconds before a released message may be received again: the minimum, doubled with every attempt, at most the
 * maximum, then spread over its upper half, but never below the minimum (so the first delay is exactly that). The jitter comes from the message id and the attempt, so planning twice
 * gives the same answer and two messages that failed together do not come back together.
 */
export function backoffSeconds(backoff: Backoff, attempt: number, messageId: string): number {
  const doubled = backoff.minBackoffSeconds * 2 ** Math.min(attempt - 1, 30);
  const capped = Math.min(doubled, backoff.maxBackoffSeconds, MAX_VISIBILITY_SECONDS);
  const floor = Math.max(backoff.minBackoffSeconds, capped / 2);
  return Math.round(floor + (capped - floor) * jitter(messageId, attempt));
}

/** A number in [0, 1) that depends on nothing but its arguments. */
function jitter(messageId: string, attempt: number): number {
  const hash = createHash('sha256').update(`${messageId}/${attempt}`).digest();
  return hash.readUInt32BE(0) / 2 ** 32;
}
