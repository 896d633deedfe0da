import type { KubeObject } from '../../../operator/ports.ts';

/** One change of one object. */
export interface ObjectEvent {
  readonly plural: string;
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly object: KubeObject;
  /** The object before the change. */
  readonly before: KubeObject | undefined;
}

/** How many changes of one collection are remembered; a watch from further back is told that its version is gone. */
const KEPT = 1_000;

/** What has changed, so that a watch can begin at an older resourceVersion. */
export class EventLog {
  readonly #events = new Map<string, { readonly version: number; readonly event: ObjectEvent }[]>();
  /** The newest change of each collection that is no longer known. */
  readonly #forgotten = new Map<string, number>();

  append(version: number, event: ObjectEvent): void {
    const events = this.#events.get(event.plural) ?? [];
    events.push({ version, event });
    this.#events.set(event.plural, events);
    if (events.length <= KEPT * 2) return;
    const dropped = events.splice(0, KEPT);
    this.#forgotten.set(event.plural, dropped.at(-1)?.version ?? 0);
  }

  /** Changes of a collection after this version, oldest first; undefined when they are no longer all known. */
  since(plural: string, version: number): readonly ObjectEvent[] | undefined {
    if (version < (this.#forgotten.get(plural) ?? 0)) return undefined;
    const events = this.#events.get(plural) ?? [];
    let start = events.length;
    while (start > 0 && (events[start - 1]?.version ?? 0) > version) start -= 1;
    return events.slice(start).map(({ event }) => event);
  }

  /** As after a compaction of etcd: watches from older versions are refused. */
  compact(version: number): void {
    for (const plural of this.#events.keys()) this.#forgotten.set(plural, version);
  }
}
