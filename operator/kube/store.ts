import type { KubeObject } from '../ports.ts';
import { compareResourceVersions } from './resource-version.ts';

/**
 * How many deleted uids are remembered. A write's answer can come at most one call timeout (15 s) after the deletion
 * was seen; this many deletions within that time are far beyond what one operator does.
 */
const TOMBSTONES_MAX = 10_000;

const NONE: readonly KubeObject[] = [];

export interface ObjectStoreOptions {
  /** Groups objects for `byIndex`; undefined leaves the object out of the index. Must depend on the object alone. */
  readonly indexBy?: (object: KubeObject) => string | undefined;
  /** What is kept of an object; the default drops `metadata.managedFields`, about 4 KiB of heap per object. */
  readonly strip?: (object: KubeObject) => KubeObject;
}

/** What a re-list found to differ; `before` is undefined for new objects, `after` for objects that vanished. */
export interface StoreChange {
  readonly before: KubeObject | undefined;
  readonly after: KubeObject | undefined;
}

/**
 * The newest known state of one collection, by namespace and name. It never goes backwards: whatever the order in which
 * the answers of our own writes, watch events and lists arrive, an object is replaced by a newer one only, and a deleted
 * object comes back under a new uid only. Objects handed out are shared: nobody may change them.
 */
export class ObjectStore {
  readonly #objects = new Map<string, KubeObject>();
  readonly #index = new Map<string, Map<string, KubeObject>>();
  /** What `byIndex` has told since the last change. */
  readonly #told = new Map<string, readonly KubeObject[]>();
  readonly #tombstones = new Set<string>();
  readonly #indexBy: (object: KubeObject) => string | undefined;
  readonly #strip: (object: KubeObject) => KubeObject;
  /** Every change of the collection up to here is in the store. */
  #observedVersion = '';

  constructor(options: ObjectStoreOptions = {}) {
    this.#indexBy = options.indexBy ?? (() => undefined);
    this.#strip = options.strip ?? withoutManagedFields;
  }

  get(namespace: string | undefined, name: string): KubeObject | undefined {
    return this.#objects.get(keyOf(namespace, name));
  }

  list(): KubeObject[] {
    return [...this.#objects.values()];
  }

  /** The same array as long as none of its objects changes, so that what is made of it can be remembered. */
  byIndex(key: string): readonly KubeObject[] {
    const known = this.#told.get(key);
    if (known) return known;
    const members = this.#index.get(key);
    if (!members) return NONE;
    const objects = [...members.values()];
    this.#told.set(key, objects);
    return objects;
  }

  get size(): number {
    return this.#objects.size;
  }

  /**
   * Takes the answer of our own write, so that the next decision sees it before the watch brings it. Kept (true) only
   * when it is newer than what is there, and not when the object is known to be deleted: its uid has a tombstone, or it
   * is absent although the store has seen every change up to its resourceVersion.
   */
  put(object: KubeObject): boolean {
    const { uid, resourceVersion } = object.metadata;
    if (uid !== undefined && this.#tombstones.has(uid)) return false;
    const known = this.#objects.get(keyOfObject(object));
    const seenUpTo = known === undefined ? this.#observedVersion : known.metadata.resourceVersion;
    if (compareResourceVersions(resourceVersion, seenUpTo) <= 0) return false;
    this.#set(object);
    return true;
  }

  /**
   * Takes an ADDED or MODIFIED watch event. False when it tells nothing new: something newer is already there, or this very
   * state, from the answer of our own write. That one stays, so that what was made of it is still remembered.
   */
  observe(object: KubeObject): boolean {
    this.advance(object.metadata.resourceVersion);
    const known = this.#objects.get(keyOfObject(object));
    if (known !== undefined && (isNewer(known, object) || isSameState(known, object))) return false;
    this.#set(object);
    return true;
  }

  /**
   * Forgets this object (a DELETED event, or a delete of ours that the server has completed) and keeps late answers from
   * bringing it back. An object of the same name with another uid that is newer stays: it is the next one.
   */
  remove(object: KubeObject): boolean {
    const { uid } = object.metadata;
    if (uid !== undefined) this.#bury(uid);
    const known = this.#objects.get(keyOfObject(object));
    if (known === undefined) return false;
    if (known.metadata.uid !== uid && isNewer(known, object)) return false;
    this.#drop(known);
    return true;
  }

  /** Notes that every change up to this resourceVersion has been seen (watch events and bookmarks come in order). */
  advance(resourceVersion: string | undefined): void {
    if (compareResourceVersions(resourceVersion, this.#observedVersion) > 0) {
      this.#observedVersion = resourceVersion ?? '';
    }
  }

  /**
   * Takes a complete list read at `resourceVersion` and returns what it changed. Entries written after the list stay; an
   * object that was deleted and created again while nobody watched is two changes, as its uid tells. A list older than
   * what was observed means that the server's history was rewound (etcd restored from a backup): then the list alone counts.
   */
  replace(items: readonly KubeObject[], resourceVersion: string): StoreChange[] {
    const isRewound = compareResourceVersions(resourceVersion, this.#observedVersion) < 0;
    const listed = new Set(items.map(keyOfObject));
    const vanished = this.list().filter(
      (known) => !listed.has(keyOfObject(known)) && (isRewound || !isAfter(known, resourceVersion)),
    );
    for (const known of vanished) this.remove(known);
    const changes: StoreChange[] = vanished.map((before) => ({ before, after: undefined }));
    for (const item of items) changes.push(...this.#replaceOne(item, isRewound));
    this.#observedVersion = resourceVersion;
    return changes;
  }

  #replaceOne(item: KubeObject, isRewound: boolean): StoreChange[] {
    const known = this.#objects.get(keyOfObject(item));
    if (known === undefined) return [{ before: undefined, after: this.#set(item) }];
    const order = compareResourceVersions(known.metadata.resourceVersion, item.metadata.resourceVersion);
    if (order === 0 || (order > 0 && !isRewound)) return [];
    if (known.metadata.uid === item.metadata.uid) return [{ before: known, after: this.#set(item) }];
    return [
      { before: known, after: undefined },
      { before: undefined, after: this.#set(item) },
    ];
  }

  #set(object: KubeObject): KubeObject {
    const kept = this.#strip(object);
    const known = this.#objects.get(keyOfObject(kept));
    if (known !== undefined) {
      this.#drop(known);
      const { uid } = known.metadata;
      if (uid !== undefined && uid !== kept.metadata.uid) this.#bury(uid);
    }
    this.#objects.set(keyOfObject(kept), kept);
    const group = this.#indexBy(kept);
    if (group === undefined) return kept;
    this.#told.delete(group);
    const members = this.#index.get(group) ?? new Map<string, KubeObject>();
    this.#index.set(group, members.set(keyOfObject(kept), kept));
    return kept;
  }

  #drop(known: KubeObject): void {
    this.#objects.delete(keyOfObject(known));
    const group = this.#indexBy(known);
    const members = group === undefined ? undefined : this.#index.get(group);
    if (group === undefined || members === undefined) return;
    this.#told.delete(group);
    members.delete(keyOfObject(known));
    if (members.size === 0) this.#index.delete(group);
  }

  #bury(uid: string): void {
    this.#tombstones.add(uid);
    const [oldest] = this.#tombstones;
    if (this.#tombstones.size > TOMBSTONES_MAX && oldest !== undefined) this.#tombstones.delete(oldest);
  }
}

function isNewer(known: KubeObject, object: KubeObject): boolean {
  return isAfter(known, object.metadata.resourceVersion);
}

function isSameState(known: KubeObject, { metadata }: KubeObject): boolean {
  const { uid, resourceVersion } = known.metadata;
  return (
    resourceVersion !== undefined && resourceVersion === metadata.resourceVersion && uid === metadata.uid
  );
}

function isAfter(known: KubeObject, resourceVersion: string | undefined): boolean {
  return compareResourceVersions(known.metadata.resourceVersion, resourceVersion) > 0;
}

function keyOfObject(object: KubeObject): string {
  return keyOf(object.metadata.namespace, object.metadata.name);
}

function keyOf(namespace: string | undefined, name: string): string {
  return `${namespace ?? ''}/${name}`;
}

function withoutManagedFields(object: KubeObject): KubeObject {
  if (object.metadata['managedFields'] === undefined) return object;
  const { managedFields: _, ...metadata } = object.metadata;
  return { ...object, metadata };
}
