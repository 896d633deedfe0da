import { z } from 'zod';
import { messageOf } from '../errors.ts';
import type { Action } from '../plan/plan.ts';
import type { StartEvent } from '../plan/start-facts.ts';
import type { KubeObject } from '../ports.ts';
import { EVENTS } from '../world.ts';
import type { Subject, World } from './interpreter.ts';

/** What is kept of Jobs and pods that nobody asks about any more, in milliseconds. */
const FORGOTTEN_AFTER_MS = 1_800_000;

/**
 * Reads the warnings about a Job or a pod, for the next plan. They only explain: when they cannot be read, that is as if
 * there were none, and they are asked for again later.
 */
export async function readStartEvents(
  { about }: Extract<Action, { kind: 'readStartEvents' }>,
  { session, namespace }: Subject,
  world: World,
): Promise<void> {
  const readAtMs = world.clock.now();
  const fieldSelector = `regarding.uid=${about.uid},type=Warning`;
  const events = await world.kube
    .list(EVENTS, { namespace, fieldSelector })
    .then(({ items }) => items.flatMap((item) => startEventFrom(item) ?? []))
    .catch((error: unknown) => {
      world.log.warn({ about: about.name, error: messageOf(error) }, 'events were not read');
      return [];
    });
  for (const [uid, known] of session.startEvents) {
    if (known.readAtMs < readAtMs - FORGOTTEN_AFTER_MS) session.startEvents.delete(uid);
  }
  session.startEvents.set(about.uid, { readAtMs, events });
}

const eventSchema = z.object({
  reason: z.string(),
  note: z.string().default(''),
  eventTime: z.string().nullish(),
  deprecatedLastTimestamp: z.string().nullish(),
  series: z.object({ lastObservedTime: z.string() }).nullish(),
});

/** Reads an Event; undefined when it cannot be read. The time is where the teller's library puts it: in the series, in the old field, or with the event itself. */
export function startEventFrom(object: KubeObject): StartEvent | undefined {
  const parsed = eventSchema.safeParse(object);
  if (!parsed.success) return undefined;
  const { reason, note, series, deprecatedLastTimestamp, eventTime } = parsed.data;
  const { creationTimestamp } = object.metadata;
  const last = series?.lastObservedTime ?? deprecatedLastTimestamp ?? eventTime ?? creationTimestamp;
  return { reason, note, lastSeenMs: Date.parse(last ?? '') || 0 };
}
