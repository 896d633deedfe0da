import type { KubeObject, Resource } from '../ports.ts';
import { fieldsOf } from './json.ts';

export const LEASES: Resource = { group: 'coordination.k8s.io', version: 'v1', plural: 'leases' };

/** The longest duration that is believed; a larger one is somebody's slip and must not stop the election for good. */
export const MAX_LEASE_DURATION_MS = 600_000;

/** What the election reads of a Kubernetes Lease. Its times are another machine's and are not read. */
export interface LeaderLease {
  readonly resourceVersion: string;
  /** Empty: nobody holds it. */
  readonly holder: string;
  /** How long its holder asked to be waited for, in milliseconds; 0 when it does not say. */
  readonly durationMs: number;
  /** How often it has changed hands. */
  readonly transitions: number;
}

/** Reads a Lease; what is missing or odd counts as not said. */
export function leaderLeaseFrom({ metadata, spec }: KubeObject): LeaderLease {
  const { holderIdentity, leaseDurationSeconds, leaseTransitions } = fieldsOf(spec);
  const seconds = typeof leaseDurationSeconds === 'number' ? leaseDurationSeconds : 0;
  return {
    resourceVersion: metadata.resourceVersion ?? '',
    holder: typeof holderIdentity === 'string' ? holderIdentity : '',
    durationMs: Math.min(Math.max(0, seconds * 1000), MAX_LEASE_DURATION_MS),
    transitions: typeof leaseTransitions === 'number' ? leaseTransitions : 0,
  };
}

/** What a holder writes. `nowMs` (epoch) is for people to read. */
export interface Holding {
  readonly identity: string;
  readonly leaseDurationMs: number;
  readonly nowMs: number;
}

/** The spec of a Lease that changes hands. */
export function takenSpec(before: LeaderLease | undefined, holding: Holding): object {
  return {
    ...renewedSpec(holding),
    acquireTime: microTime(holding.nowMs),
    leaseTransitions: before === undefined ? 0 : before.transitions + 1,
  };
}

/** The part of the spec that a renewal writes. */
export function renewedSpec({ identity, leaseDurationMs, nowMs }: Holding): object {
  return {
    holderIdentity: identity,
    leaseDurationSeconds: Math.ceil(leaseDurationMs / 1000),
    renewTime: microTime(nowMs),
  };
}

/** The part of the spec that a release writes; a second is what client-go leaves too. */
export function releasedSpec(nowMs: number): object {
  return { holderIdentity: '', leaseDurationSeconds: 1, renewTime: microTime(nowMs) };
}

/** MicroTime has exactly six digits behind the second. */
function microTime(nowMs: number): string {
  return new Date(nowMs).toISOString().replace('Z', '000Z');
}
