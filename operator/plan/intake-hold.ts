import { type CreationRefusal, isHiccup } from './creation-refusal.ts';
import type { Claim } from './job-facts.ts';
import type { JobStart } from './job-start.ts';
import type { Problem } from './problem.ts';
import type { StartTrouble } from './start-trouble.ts';
import { type Ending, EX_CONFIG, misconfiguredRow, newestEndings } from './worker-endings.ts';

/**
 * The breaker of intake. A fault that every message would meet (an image that cannot be pulled, a Secret that is missing,
 * a quota that is used up, a worker that says it is set up wrongly) holds intake: what has been received stays held, and
 * beyond that one message is tried after 1, 2, 4 … 30 minutes, or at once after the spec was changed.
 *
 *   open ──a fault of the current revision──► held ──a pod of it starts, a success, or a new revision──► open
 *                                              │ ▲
 *                                probe is due ─┘ └─ one message taken: the next interval is twice as long
 *
 * The fault is read from Jobs, pods and refusals in every turn. The intervals are the process's own: after a restart they
 * begin anew, once the fault has been seen again.
 */
export interface IntakeHold extends Problem {
  readonly source: FaultSource;
  readonly revision: number;
  readonly generation: number;
  /** When what showed the fault began, epoch ms: only what starts later shows that it is over. */
  readonly faultSinceMs: number;
  readonly probeAtMs: number;
  /** Between that probe and the next one. */
  readonly intervalMs: number;
}

type FaultSource = 'creation' | 'start' | 'worker';

/** What the process remembers of the current revision between two turns; all of it may be lost. */
export interface HoldMemory {
  readonly revision: number;
  readonly hold: IntakeHold | undefined;
  /** The newest start of a worker of this revision, epoch ms; 0: none is known. */
  readonly lastStartMs: number;
  /** The newest endings first; Jobs beyond the history limits are forgotten by the cluster, not here. */
  readonly endings: readonly Ending[];
}

/** What holds or opens intake, in this turn. */
export interface HoldContext {
  readonly nowMs: number;
  /** The current revision's number. */
  readonly revision: number;
  readonly generation: number;
  readonly claims: readonly Claim[];
  readonly starts: ReadonlyMap<string, JobStart>;
  /** A refusal that any Job would meet, while Jobs wait to be created. */
  readonly refusal: CreationRefusal | undefined;
  /** Received messages that have no Job yet. */
  readonly waiting: number;
  /** When the newest message that is held was asked for, epoch ms; 0: none is held. */
  readonly lastReceiveMs: number;
}

const MINUTE_MS = 60_000;
const FIRST_INTERVAL_MS = MINUTE_MS;
const MAX_INTERVAL_MS = 30 * MINUTE_MS;
interface Fault extends Problem {
  readonly source: FaultSource;
  readonly sinceMs: number;
}

/** What is remembered after this turn; its `hold` is what holds intake now. */
export function nextHold(before: HoldMemory | undefined, context: HoldContext): HoldMemory {
  const { revision } = context;
  const known = before?.revision === revision ? before : undefined;
  const claims = context.claims.filter((claim) => claim.revision === revision);
  const lastStartMs = Math.max(known?.lastStartMs ?? 0, ...startsOf(claims, context));
  const endings = newestEndings(claims, known?.endings ?? []);
  const fault = faultOf({ ...context, claims }, lastStartMs, endings);
  const held = known?.hold;
  if (fault)
    return { revision, lastStartMs, endings, hold: scheduled(heldFor(fault, held, context), context) };
  const isOver = !held || held.source !== 'start' || lastStartMs >= held.faultSinceMs;
  const hold = isOver ? undefined : scheduled(withoutWitness(held, claims, context), context);
  return { revision, lastStartMs, endings, hold };
}

/** How many messages may be taken while intake is held: none, or one more than wait already when a probe is due. */
export function roomUnderHold(
  hold: IntakeHold | undefined,
  room: number,
  { nowMs, waiting }: Pick<HoldContext, 'nowMs' | 'waiting'>,
): number {
  if (!hold) return room;
  return nowMs >= hold.probeAtMs ? Math.min(room, waiting + 1) : 0;
}

/** What users are told of a hold. */
export function holdProblem({ reason, message }: IntakeHold): Problem {
  return { reason, message: `${message} Intake is held; one message is tried at growing intervals.` };
}

/** What is to be said of pods that wait, though nothing holds intake: the oldest Job's trouble. */
export function waitingTrouble(
  claims: readonly Claim[],
  starts: ReadonlyMap<string, JobStart>,
): Problem | undefined {
  const oldest = troubled(claims, starts)[0];
  return oldest && { reason: oldest.trouble.reason, message: wordsOf(oldest) };
}

interface Troubled {
  readonly name: string;
  readonly createdAtMs: number;
  readonly trouble: StartTrouble;
}

/** Jobs that do not start, oldest first; names decide among those created in the same second. */
function troubled(claims: readonly Claim[], starts: ReadonlyMap<string, JobStart>): readonly Troubled[] {
  return claims
    .flatMap(({ job: { metadata } }) => {
      const start = starts.get(metadata.name);
      if (start?.kind !== 'trouble') return [];
      const createdAtMs = Date.parse(metadata.creationTimestamp ?? '') || 0;
      return { name: metadata.name, createdAtMs, trouble: start.trouble };
    })
    .toSorted((a, b) => a.createdAtMs - b.createdAtMs || (a.name < b.name ? -1 : 1));
}

function wordsOf({ name, trouble }: Troubled): string {
  return `Job ${name}: ${trouble.message.replace(/\.$/, '')}.`;
}

function startsOf(claims: readonly Claim[], { starts }: HoldContext): number[] {
  return claims.flatMap((claim) => {
    const start = starts.get(claim.job.metadata.name);
    if (start?.kind === 'started') return start.atMs;
    return claim.outcome === 'succeeded' ? (claim.startedAtMs ?? 0) : [];
  });
}

/** The first fault that every message would meet, as far as this turn can see. */
function faultOf(context: HoldContext, lastStartMs: number, endings: readonly Ending[]): Fault | undefined {
  const { refusal, claims, starts } = context;
  if (refusal && !isHiccup(refusal)) {
    const { reason, message, refusedAtMs } = refusal;
    return { source: 'creation', reason, message: `A Job was refused: ${message}.`, sinceMs: refusedAtMs };
  }
  const stuck = troubled(claims, starts).find(
    // When others of the revision start, it is not the template.
    ({ trouble, createdAtMs }) => trouble.fault === 'template' && createdAtMs > lastStartMs,
  );
  if (stuck) {
    const { reason } = stuck.trouble;
    return { source: 'start', reason, message: wordsOf(stuck), sinceMs: stuck.createdAtMs };
  }
  return misconfiguredFault(endings);
}

function misconfiguredFault(endings: readonly Ending[]): Fault | undefined {
  const newest = misconfiguredRow(endings);
  if (!newest) return undefined;
  const said = newest.message === '' ? '' : `; Job ${newest.job}: ${newest.message.replace(/\.$/, '')}`;
  const message = `The workers of several messages in a row ended with exit code ${EX_CONFIG} (EX_CONFIG)${said}.`;
  return { source: 'worker', reason: 'WorkerMisconfigured', message, sinceMs: newest.endedAtMs };
}

function heldFor(
  fault: Fault,
  held: IntakeHold | undefined,
  { nowMs, revision, generation }: HoldContext,
): IntakeHold {
  const { source, reason, sinceMs: faultSinceMs } = fault;
  const isSame = held?.source === source && held.reason === reason;
  const message = isSame && differOnlyInNumbers(held.message, fault.message) ? held.message : fault.message;
  if (!held) {
    const probeAtMs = nowMs + FIRST_INTERVAL_MS;
    return {
      source,
      reason,
      message,
      faultSinceMs,
      revision,
      generation,
      probeAtMs,
      intervalMs: FIRST_INTERVAL_MS,
    };
  }
  return { ...held, source, reason, message, faultSinceMs };
}

/** Texts that name ports, counts or ages would make a condition move although nothing has changed. */
function differOnlyInNumbers(a: string, b: string): boolean {
  const bare = (text: string) => text.replace(/\d+/g, '#');
  return bare(a) === bare(b);
}

/** Nobody is left who could show that the fault is over (the stuck Jobs were deleted): ask with a message at once. */
function withoutWitness(held: IntakeHold, claims: readonly Claim[], context: HoldContext): IntakeHold {
  const { nowMs, waiting } = context;
  const isWitnessed = waiting > 0 || claims.some((claim) => !claim.settled);
  return isWitnessed ? held : { ...held, probeAtMs: Math.min(held.probeAtMs, nowMs) };
}

/** After a change of the spec a probe is due at once; after a probe that was made, the next one is twice as far. */
function scheduled(hold: IntakeHold, { nowMs, generation, lastReceiveMs }: HoldContext): IntakeHold {
  if (hold.generation !== generation) {
    return { ...hold, generation, probeAtMs: nowMs, intervalMs: FIRST_INTERVAL_MS };
  }
  if (lastReceiveMs < hold.probeAtMs) return hold;
  const intervalMs = Math.min(MAX_INTERVAL_MS, hold.intervalMs * 2);
  return { ...hold, probeAtMs: nowMs + intervalMs, intervalMs };
}
