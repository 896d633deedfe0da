import { earliest } from './earliest.ts';
import { CREATE_TIMEOUT_MS } from './lease.ts';
import type { UnconfirmedClaim } from './snapshot.ts';

/** When creates that were never answered will be known. */
export interface Certainty {
  /** A list of the Jobs will tell what has come of one of them. */
  readonly needsList: boolean;
  /** When one of them can come no more, epoch ms; undefined: none waits for that. */
  readonly lookAgainAtMs: number | undefined;
}

/**
 * A create that was never answered, and whose Job could not be read, is not sent again: it may still be carried out, and by
 * then another operator may have settled its Job, deleted it and run the next attempt, so that its name would be free for
 * one more. Only a list of the Jobs that was begun when it can come no more tells; until then nothing becomes of its
 * messages, and then they are dispatched anew.
 */
export function whenCertain(unconfirmed: readonly UnconfirmedClaim[], nowMs: number): Certainty {
  const dueAtMs = unconfirmed.map(({ sentAtMs }) => sentAtMs + CREATE_TIMEOUT_MS + 1);
  return {
    needsList: dueAtMs.some((atMs) => atMs <= nowMs),
    lookAgainAtMs: earliest(dueAtMs.filter((atMs) => atMs > nowMs)),
  };
}
