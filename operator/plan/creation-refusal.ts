import type { Problem } from './problem.ts';
import { refusedReason, steadyWords } from './start-trouble.ts';

/** First and longest pause before a refused create is tried again, in milliseconds; in between it doubles. */
const MIN_RETRY_MS = 1_000;
const MAX_RETRY_MS = 30_000;
/** More than that many refused Jobs need not be told apart. */
const MAX_REMEMBERED = 1_000;

/** What an error of a create says, as far as it matters here. */
export interface CreateError {
  readonly code: string;
  /** The server's words, with the call in front of them. */
  readonly message: string;
  readonly retryAfterMs?: number | undefined;
  /** The create may have been carried out: then it is no refusal. */
  readonly outcomeUnknown: boolean;
}

/** A create that the API server has refused; what it is made for is held, and it is tried again. */
export interface CreationRefusal extends Problem {
  /** It is not about this Job: any other would be refused too. */
  readonly isGeneral: boolean;
  readonly tries: number;
  readonly refusedAtMs: number;
  readonly retryAtMs: number;
}

/** Refusals since the last create that was not refused; lost with the process, and found out again. */
export interface CreationMemory {
  /** The newest refusal that any Job would have met. */
  readonly general: CreationRefusal | undefined;
  /** The last refusal of each Job, by its name. */
  readonly byJob: ReadonlyMap<string, CreationRefusal>;
}

export const NO_REFUSALS: CreationMemory = { general: undefined, byJob: new Map() };

/** Refusals, by the error's code; anything else is a failure to ask, which the loops try again by themselves. */
const REFUSALS = new Set(['Forbidden', 'Invalid', 'NotFound', 'Throttled', 'NameTaken', 'TooLarge']);

/** A server that is busy for a moment is nothing to tell of. */
export function isHiccup({ reason, tries }: CreationRefusal): boolean {
  return reason === 'ApiServerThrottled' && tries < 3;
}

/** True for an error by which the API server says no, so that asking again at once makes no sense. */
export function isRefusal({ code, outcomeUnknown }: CreateError): boolean {
  return !outcomeUnknown && REFUSALS.has(code);
}

/** After a create: `error` undefined when the Job stands there now, which shows that others may be created as well. */
export function afterCreate(
  memory: CreationMemory,
  job: string,
  error: CreateError | undefined,
  nowMs: number,
): CreationMemory {
  const byJob = new Map([...memory.byJob].filter(([name]) => name !== job));
  if (!error) return { general: undefined, byJob };
  const problem = problemOf(error);
  const before = problem.isGeneral ? memory.general : memory.byJob.get(job);
  const refusal = refusedAgain(problem, { before, error, nowMs });
  byJob.set(job, refusal);
  const [oldest] = byJob.keys();
  if (byJob.size > MAX_REMEMBERED && oldest !== undefined) byJob.delete(oldest);
  return { general: problem.isGeneral ? refusal : memory.general, byJob };
}

function refusedAgain(
  problem: Problem & { readonly isGeneral: boolean },
  { before, error, nowMs }: { before: CreationRefusal | undefined; error: CreateError; nowMs: number },
): CreationRefusal {
  const tries = (before?.tries ?? 0) + 1;
  const backoffMs = Math.min(MAX_RETRY_MS, MIN_RETRY_MS * 2 ** Math.min(tries - 1, 10));
  const retryAtMs = nowMs + Math.max(backoffMs, error.retryAfterMs ?? 0);
  return { ...problem, tries, refusedAtMs: nowMs, retryAtMs };
}

/** Creates that may be sent now, and when to look again for the others (epoch ms; undefined: none waits). */
export interface Admitted<T> {
  readonly now: readonly T[];
  readonly lookAgainAtMs: number | undefined;
}

/**
 * Which creates may be sent now. While one was refused that any Job would have met, they are tried one at a time, each in
 * its turn, so that a Job which is refused for reasons of its own does not stand in the way of the others.
 */
export function admitCreates<T extends { readonly job: { readonly metadata: { readonly name: string } } }>(
  creates: readonly T[],
  { general, byJob }: CreationMemory,
  nowMs: number,
): Admitted<T> {
  const refusalOf = ({ job }: T) => byJob.get(job.metadata.name);
  const retryAt = (create: T) => refusalOf(create)?.retryAtMs ?? 0;
  if (!general) {
    const later = creates.filter((create) => retryAt(create) > nowMs).map(retryAt);
    return {
      now: creates.filter((create) => retryAt(create) <= nowMs),
      lookAgainAtMs: later.length > 0 ? Math.min(...later) : undefined,
    };
  }
  if (nowMs < general.retryAtMs) {
    return { now: [], lookAgainAtMs: creates.length > 0 ? general.retryAtMs : undefined };
  }
  const lastTried = (create: T) => refusalOf(create)?.refusedAtMs ?? 0;
  return {
    now: creates.toSorted((a, b) => lastTried(a) - lastTried(b)).slice(0, 1),
    lookAgainAtMs: undefined,
  };
}

function problemOf({ code, message }: CreateError): Problem & { readonly isGeneral: boolean } {
  if (code === 'Throttled')
    return { reason: 'ApiServerThrottled', message: steadyWords(message), isGeneral: true };
  if (code !== 'Forbidden' && !isDenied(message))
    return { reason: 'JobNotCreated', message, isGeneral: false };
  const mayNot = /cannot create resource/.test(message);
  const reason = mayNot ? 'JobCreationForbidden' : refusedReason(message);
  // Another Job is tried every time: its name is not part of what is said.
  return { reason, message: steadyWords(message), isGeneral: true };
}

/** Webhooks and policies may choose another status than 403. */
function isDenied(message: string): boolean {
  return /admission webhook "[^"]*" denied|ValidatingAdmissionPolicy '[^']*' .*denied/.test(message);
}
