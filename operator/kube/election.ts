import type { LeaderLease } from './leader-lease.ts';
import { compareResourceVersions } from './resource-version.ts';

/**
 * Who leads, decided from one Lease as it was seen, and since when. Pure. All instants are milliseconds of this process's
 * own monotonic clock; the times written in a Lease are another machine's and mean nothing here.
 *
 * Why two never act at once: whoever holds the Lease acts until `renewDeadlineMs` after the *start* of its last
 * confirmed write. Another one takes the Lease only after it has seen it unchanged for `leaseDurationMs`, counted from
 * when it *saw* that write or a later one, and only if it is still unchanged then (resourceVersion). The first span
 * begins earlier and is shorter.
 */

/** renewDeadlineMs < leaseDurationMs; in between lies what clocks may differ in speed, and what is on its way. */
export interface ElectionTimings {
  /** How long a Lease must have been seen unchanged before it is taken from its holder. */
  readonly leaseDurationMs: number;
  /** How long after a renewal its holder acts without another. */
  readonly renewDeadlineMs: number;
  /** Between renewals, and before what failed is tried again. */
  readonly retryPeriodMs: number;
}

/** The Lease as it was last seen; `lease` undefined: there is none. */
export interface Sighting {
  readonly lease: LeaderLease | undefined;
  /** Since when it has been seen like that. */
  readonly sinceMs: number;
  /** What the last Lease there was said of its duration: a holder outlives the deletion of its Lease. */
  readonly durationMs: number;
}

/** All that the next step depends on. */
export interface Election {
  readonly identity: string;
  readonly timings: ElectionTimings;
  /** Undefined: not looked yet. */
  readonly sighting: Sighting | undefined;
  /** Something was written that was not seen: the sighting is outdated. */
  readonly isOutdated: boolean;
  /** When the last of our own writes that the server has confirmed began; undefined: never led. */
  readonly renewedAtMs: number | undefined;
  /** When anything was last heard of the Lease. */
  readonly heardAtMs: number;
  /** After a failure: no request before this. */
  readonly notBeforeMs: number;
  /** False: only watches. */
  readonly isCandidate: boolean;
}

/**
 * - `look`: read the Lease.
 * - `take`: create it (`lease` undefined) or write ourselves into it, if it is still as it was seen.
 * - `renew`: the same for a Lease that holds us already.
 * - `lost`: another one has it. For good: what we knew as a leader is of no use any more.
 * - `wait`: nothing to do before `untilMs`, unless something is heard.
 */
export type Step =
  | { readonly kind: 'look' }
  | { readonly kind: 'take'; readonly lease: LeaderLease | undefined }
  | { readonly kind: 'renew'; readonly lease: LeaderLease }
  | { readonly kind: 'lost'; readonly holder: string }
  | { readonly kind: 'wait'; readonly untilMs: number };

/** True while this process may act. */
export function leads({ identity, sighting, renewedAtMs, timings }: Holder, nowMs: number): boolean {
  const holder = sighting?.lease?.holder ?? identity;
  return renewedAtMs !== undefined && nowMs < renewedAtMs + timings.renewDeadlineMs && holder === identity;
}

type Holder = Pick<Election, 'identity' | 'sighting' | 'renewedAtMs' | 'timings'>;

/** What to do now. */
export function nextStep(election: Election, nowMs: number): Step {
  const { sighting, notBeforeMs, isOutdated } = election;
  const step = sighting === undefined || isOutdated ? LOOK : stepFrom(election, sighting, nowMs);
  const isRequest = step.kind !== 'wait' && step.kind !== 'lost';
  return isRequest && nowMs < notBeforeMs ? { kind: 'wait', untilMs: notBeforeMs } : step;
}

const LOOK: Step = { kind: 'look' };

function stepFrom(election: Election, { lease, sinceMs, durationMs }: Sighting, nowMs: number): Step {
  const { identity, renewedAtMs, timings, isCandidate } = election;
  if (lease?.holder === identity) return renewal(election, lease, nowMs);
  if (lease && renewedAtMs !== undefined) return { kind: 'lost', holder: lease.holder };
  // Somebody has deleted the Lease that we hold. Whoever else saw that waits as long as for any other holder.
  if (leads(election, nowMs)) return { kind: 'take', lease };
  const freeAtMs = lease?.holder === '' ? sinceMs : sinceMs + Math.max(timings.leaseDurationMs, durationMs);
  if (isCandidate && nowMs >= freeAtMs) return { kind: 'take', lease };
  return vigil(election, isCandidate ? freeAtMs : Number.POSITIVE_INFINITY, nowMs);
}

function renewal({ renewedAtMs, timings }: Election, lease: LeaderLease, nowMs: number): Step {
  // Not confirmed: a write of ours whose answer was lost.
  if (renewedAtMs === undefined) return { kind: 'renew', lease };
  const dueMs = renewedAtMs + timings.retryPeriodMs;
  return nowMs >= dueMs ? { kind: 'renew', lease } : { kind: 'wait', untilMs: dueMs };
}

/** A living leader is heard every `retryPeriodMs`. When it is not, the watch may be what is dead. */
function vigil({ heardAtMs, timings }: Election, freeAtMs: number, nowMs: number): Step {
  const lookAtMs = heardAtMs + 1.5 * timings.retryPeriodMs;
  return nowMs >= lookAtMs ? LOOK : { kind: 'wait', untilMs: Math.min(freeAtMs, lookAtMs) };
}

/** The sighting after the Lease was seen like this at `nowMs`; what is older than the last one, or the same, changes nothing. */
export function sighted(
  before: Sighting | undefined,
  lease: LeaderLease | undefined,
  nowMs: number,
): Sighting {
  if (before !== undefined && !isNews(before.lease, lease)) return before;
  return { lease, sinceMs: nowMs, durationMs: lease?.durationMs ?? before?.durationMs ?? 0 };
}

function isNews(before: LeaderLease | undefined, lease: LeaderLease | undefined): boolean {
  if (lease === undefined) return before !== undefined;
  return compareResourceVersions(lease.resourceVersion, before?.resourceVersion) > 0;
}
