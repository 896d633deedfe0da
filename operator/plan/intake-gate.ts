import type { BatchQueue } from '../api/batch-queue.ts';
import { admitCreates, type CreationRefusal, isHiccup } from './creation-refusal.ts';
import { earliest } from './earliest.ts';
import { type HoldMemory, holdProblem, nextHold, roomUnderHold, waitingTrouble } from './intake-hold.ts';
import type { Claim } from './job-facts.ts';
import { type JobStart, jobStarts } from './job-start.ts';
import type { Action, CreateAction } from './plan.ts';
import type { Problem } from './problem.ts';
import { remember } from './remember.ts';
import type { Revision } from './revision-facts.ts';
import type { Snapshot } from './snapshot.ts';
import { planEventReads } from './start-events.ts';
import { planStuckJobs } from './stuck-jobs.ts';

/** What stands between the queue and its Jobs in this turn. */
export interface IntakeGate {
  /** Creates that may be sent now, and what there is to do about Jobs that do not start. */
  readonly actions: readonly Action[];
  /** Undefined while there is no revision. */
  readonly memory: HoldMemory | undefined;
  /** Why messages are not run: intake is held, or a Job is refused. */
  readonly problem: Problem | undefined;
  /** What pods wait for although nothing holds intake. */
  readonly waitingFor: Problem | undefined;
  readonly isHeld: boolean;
  /** Of this many messages that there is room for, so many may be taken. */
  readonly room: (room: number) => number;
  /** When to look again although nothing has happened, epoch ms. */
  readonly lookAgainAtMs: number | undefined;
}

export interface GateSubject {
  /** Undefined when the BatchQueue is gone, or cannot be read: then nothing is held up. */
  readonly queue: BatchQueue | undefined;
  readonly current: Revision | undefined;
  /** The current revision once the API server takes its Jobs. */
  readonly usable: Revision | undefined;
  /** Jobs that shall be made. */
  readonly creates: readonly CreateAction[];
}

/** Tells Jobs that start from Jobs that cannot, and holds intake for what every message would meet. */
export function planGate(snapshot: Snapshot, subject: GateSubject): IntakeGate {
  return subject.queue ? gateOf(snapshot, subject) : openGate(subject.creates);
}

function openGate(actions: readonly Action[]): IntakeGate {
  const nothing = { memory: undefined, problem: undefined, waitingFor: undefined, lookAgainAtMs: undefined };
  return { ...nothing, actions, isHeld: false, room: (room) => room };
}

function gateOf(snapshot: Snapshot, subject: GateSubject): IntakeGate {
  const { nowMs, claims, inbox, creations, startEvents } = snapshot;
  const { current, usable, creates } = subject;
  const starts = jobStarts(claims, snapshot.jobPods, { nowMs, events: startEvents });
  const ofCurrent = claims.filter(({ revision }) => revision === current?.number);
  const admitted = admitCreates(creates, creations, nowMs);
  const events = planEventReads(ofCurrent, starts, { nowMs, events: startEvents });
  const memory = current && nextMemory(snapshot, subject, { starts, revision: current.number });
  const hold = memory?.hold;
  const refusal = creates.flatMap(({ job }) => creations.byJob.get(job.metadata.name) ?? [])[0];
  return {
    actions: [...admitted.now, ...events.actions, ...planStuckJobs(claims, starts, usable)],
    memory,
    isHeld: hold !== undefined,
    problem: hold ? holdProblem(hold) : refusalProblem(refusal),
    waitingFor: hold ? undefined : waitingTrouble(claims, starts),
    room: (room) => roomUnderHold(hold, room, { nowMs, waiting: inbox.length }),
    lookAgainAtMs: earliest([
      admitted.lookAgainAtMs,
      events.lookAgainAtMs,
      hold && hold.probeAtMs > nowMs ? hold.probeAtMs : undefined,
      ...[...starts.values()].map((start) => (start.kind === 'starting' ? start.lookAgainAtMs : undefined)),
    ]),
  };
}

function nextMemory(
  { nowMs, claims, inbox, creations, holdMemory }: Snapshot,
  { queue, creates }: GateSubject,
  { starts, revision }: { starts: ReadonlyMap<string, JobStart>; revision: number },
): HoldMemory {
  return nextHold(holdMemory, {
    nowMs,
    revision,
    generation: queue?.metadata.generation ?? 0,
    claims,
    starts,
    refusal: creates.length > 0 ? creations.general : undefined,
    waiting: inbox.length,
    lastReceiveMs: Math.max(lastReceiveOf(inbox), latest(claims.map(lastReceiveIn))),
  });
}

/** When the newest message of a claim was received, epoch ms. */
const lastReceiveIn = remember(({ ledger }: Claim) => lastReceiveOf(ledger?.messages ?? []));

function lastReceiveOf(messages: readonly { readonly receivedAtMs: number }[]): number {
  return latest(messages.map(({ receivedAtMs }) => receivedAtMs));
}

function latest(times: readonly number[]): number {
  return times.reduce((last, atMs) => Math.max(last, atMs), 0);
}

function refusalProblem(refusal: CreationRefusal | undefined): Problem | undefined {
  return refusal && !isHiccup(refusal) ? { reason: refusal.reason, message: refusal.message } : undefined;
}
