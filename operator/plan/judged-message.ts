import type { BatchQueue } from '../api/batch-queue.ts';
import type { Claim, Ledger } from './job-facts.ts';
import type { InboxMessage } from './message.ts';
import type { ClaimAction } from './plan.ts';
import type { Revision } from './revision-facts.ts';
import type { Arrivals, UnconfirmedClaim } from './snapshot.ts';

/** What received messages are judged by. */
export interface DispatchContext {
  readonly nowMs: number;
  /** Undefined when the BatchQueue is gone, or cannot be read. */
  readonly queue: BatchQueue | undefined;
  /** The BatchQueue is gone: then messages are given back. */
  readonly isGone: boolean;
  /** Undefined while no revision may be run yet: then messages wait under their lease. */
  readonly revision: Revision | undefined;
  readonly claims: readonly Claim[];
  /** Jobs that may be started. */
  readonly slots: number;
  readonly arrivals: Arrivals;
  readonly underWay: readonly ClaimAction[];
  readonly unconfirmed: readonly UnconfirmedClaim[];
  readonly jobsListedAtMs: number;
}

/** A message that may run, as this attempt. */
export interface Runnable {
  readonly kind: 'run';
  readonly message: InboxMessage;
  readonly attempt: number;
  /** The number that its Job is named by (`JobIdentity.lock`). */
  readonly lock: number;
  /** No Job that we do not know of can hold it: it was never received before, or its last attempt is known. */
  readonly isSure: boolean;
}

/** What is to be done with one message. */
export type JudgedMessage =
  | Runnable
  | { readonly kind: 'forget' | 'discard' | 'wait'; readonly message: InboxMessage }
  | { readonly kind: 'adopt'; readonly message: InboxMessage; readonly claim: Claim; readonly ledger: Ledger }
  | { readonly kind: 'giveBack'; readonly message: InboxMessage; readonly reason: string };
