import { MAX_VISIBILITY_SECONDS } from './backoff.ts';
import type { Lease } from './plan.ts';

/**
 * When a lease must be renewed, and for how long. SQS counts a visibility timeout from the request and bounds the sum
 * of all of them to twelve hours from the receive; an extension past that bound is refused, not shortened.
 */

/** What may pass between our clock and SQS's before we stop trusting a lease, in milliseconds. */
export const LEASE_MARGIN_MS = 1_000;

/** A create of a Job that has not been answered after this is given up and read back, in milliseconds. */
export const CREATE_TIMEOUT_MS = 4_000;

/**
 * Least visibility timeout that a receive asks for, in seconds: its answer comes within 30 s or never, and the Job must
 * still be created under the same lease. Renewals ask for what the spec says.
 */
export const MIN_RECEIVE_TIMEOUT_SECONDS = 40;

/** Renewed every third of its timeout: two renewals may fail before the lease lapses. */
const RENEWALS_PER_TIMEOUT = 3;

/** Below this much left of the twelve hours nothing is renewed any more; the redelivery is adopted instead. */
const CEILING_MARGIN_SECONDS = 10;

/** A lease is trusted from when its request *started*, because SQS may have counted from then. */
export function trustedUntil(requestStartedAtMs: number, timeoutSeconds: number): number {
  return requestStartedAtMs + timeoutSeconds * 1000 - LEASE_MARGIN_MS;
}

/**
 * True when nobody else can receive the message before a Job created now is in place. Without this an operator that
 * was asleep could start a message that another one has started under a later attempt.
 */
export function outlivesCreate(trustedUntilMs: number, nowMs: number): boolean {
  return trustedUntilMs > nowMs + CREATE_TIMEOUT_MS;
}

/** True while what a list of Jobs has shown may still be acted on without another one. */
export function isRecentList(jobsListedAtMs: number, nowMs: number): boolean {
  return nowMs <= jobsListedAtMs + CREATE_TIMEOUT_MS;
}

/** When a lease that was taken or renewed at `requestStartedAtMs` is due again, in epoch ms. */
export function dueAt(requestStartedAtMs: number, timeoutSeconds: number): number {
  return requestStartedAtMs + (timeoutSeconds * 1000) / RENEWALS_PER_TIMEOUT;
}

/**
 * The timeout to ask for now, in seconds: the lease's own, or what is left of the twelve hours; undefined at the
 * ceiling, where SQS must be left to deliver the message once more.
 */
export function renewalSeconds(lease: Lease, nowMs: number): number | undefined {
  const left = secondsLeftOfReceive(lease.receivedAtMs, nowMs);
  const seconds = Math.min(lease.visibilityTimeoutSeconds, left);
  return seconds > 0 ? seconds : undefined;
}

/** How far in the future a message's return may be set, in whole seconds; never negative. */
export function clampDelay(delaySeconds: number, receivedAtMs: number, nowMs: number): number {
  return Math.max(0, Math.min(delaySeconds, secondsLeftOfReceive(receivedAtMs, nowMs)));
}

function secondsLeftOfReceive(receivedAtMs: number, nowMs: number): number {
  const elapsedSeconds = Math.ceil((nowMs - receivedAtMs) / 1000);
  return MAX_VISIBILITY_SECONDS - CEILING_MARGIN_SECONDS - elapsedSeconds;
}
