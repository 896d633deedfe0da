import type { Claim } from './job-facts.ts';
import type { JobStart } from './job-start.ts';
import type { Action } from './plan.ts';
import type { EventSubject, StartEvents } from './start-facts.ts';

/** Events are a list of the whole namespace to the server: asked for few Jobs, and more rarely the longer it takes. */
const MAX_SUBJECTS = 2;
const MIN_REREAD_MS = 30_000;
const MAX_REREAD_MS = 300_000;

/** What to read now, and when to look again (epoch ms; undefined: nothing is unexplained). */
export interface EventReads {
  readonly actions: readonly Action[];
  readonly lookAgainAtMs: number | undefined;
}

/** Which events to read: those about the oldest Jobs of the current revision that take long to start without saying why. */
export function planEventReads(
  claims: readonly Claim[],
  starts: ReadonlyMap<string, JobStart>,
  { nowMs, events }: { readonly nowMs: number; readonly events: ReadonlyMap<string, StartEvents> },
): EventReads {
  const due = claims
    .flatMap(({ job: { metadata } }) => {
      const start = starts.get(metadata.name);
      const about = start && start.kind !== 'started' ? start.unexplained : undefined;
      return about ? [{ about, createdAtMs: Date.parse(metadata.creationTimestamp ?? '') || 0 }] : [];
    })
    .toSorted((a, b) => a.createdAtMs - b.createdAtMs || (a.about.uid < b.about.uid ? -1 : 1))
    .slice(0, MAX_SUBJECTS)
    .map(({ about, createdAtMs }) => ({ about, atMs: readAtMs(about, createdAtMs, { nowMs, events }) }));
  const later = due.filter(({ atMs }) => atMs > nowMs).map(({ atMs }) => atMs);
  return {
    actions: due
      .filter(({ atMs }) => atMs <= nowMs)
      .map(({ about }): Action => ({ kind: 'readStartEvents', about })),
    lookAgainAtMs: later.length > 0 ? Math.min(...later) : undefined,
  };
}

function readAtMs(
  { uid }: EventSubject,
  createdAtMs: number,
  { nowMs, events }: { readonly nowMs: number; readonly events: ReadonlyMap<string, StartEvents> },
): number {
  const before = events.get(uid);
  if (!before) return nowMs;
  const ageMs = before.readAtMs - createdAtMs;
  return before.readAtMs + Math.min(MAX_REREAD_MS, Math.max(MIN_REREAD_MS, ageMs / 2));
}
