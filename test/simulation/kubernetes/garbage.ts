import type { Clock, KubeObject } from '../../../operator/ports.ts';
import type { SeededRandom } from '../../support/seeded-random.ts';
import { type ApiServer, resourceOf } from './api-server.ts';
import type { ObjectEvent } from './event-log.ts';

const FOREGROUND = 'foregroundDeletion';
const ORPHAN = 'orphan';

/**
 * Garbage collector and namespace controller, a little late as they are: dependents go with their owner, foreground
 * deletion waits for them, orphaning lets go of them first, and an owner that does not exist is no owner.
 */
export class Garbage {
  readonly #api: ApiServer;
  readonly #clock: Clock;
  readonly #random: SeededRandom;
  /** Keys (`plural/namespace/name`) of what an owner's uid owns. */
  readonly #dependents = new Map<string, Map<string, KubeObject & { plural?: string }>>();
  readonly #gone = new Set<string>();

  constructor(api: ApiServer, clock: Clock, random: SeededRandom) {
    this.#api = api;
    this.#clock = clock;
    this.#random = random;
    api.watch((event) => this.#notice(event));
  }

  /** Deletes everything in a namespace, as `kubectl delete namespace` does; it may be made again when it is empty. */
  deleteNamespace(namespace: string): void {
    this.#api.terminate(namespace);
    const sweep = () => {
      let left = 0;
      for (const plural of this.#api.plurals()) {
        for (const { metadata } of this.#api.list(resourceOf(plural), { namespace }).items) {
          left += 1;
          if (metadata.deletionTimestamp === undefined)
            this.#api.delete(resourceOf(plural), namespace, metadata.name);
        }
      }
      if (left > 0) this.#later(sweep);
      else this.#api.admit(namespace);
    };
    sweep();
  }

  #notice({ plural, type, object, before }: ObjectEvent): void {
    this.#index(plural, type, object, before);
    const { uid = '' } = object.metadata;
    if (type === 'DELETED') {
      this.#gone.add(uid);
      if (this.#dependents.get(uid)?.size) this.#later(() => this.#deleteDependents(uid));
      return;
    }
    if (this.#hasLostOwners(object, before)) this.#later(() => this.#remove(plural, object));
    const isNew = before?.metadata.deletionTimestamp === undefined;
    if (isNew && object.metadata.deletionTimestamp !== undefined) this.#noticeDeletion(plural, object);
  }

  /** True for an object that has been given owners of which none exists any more. */
  #hasLostOwners({ metadata }: KubeObject, before: KubeObject | undefined): boolean {
    const { ownerReferences: owners = [] } = metadata;
    if (owners.length === 0 || owners === before?.metadata.ownerReferences) return false;
    return owners.every((owner) => this.#gone.has(owner.uid));
  }

  #noticeDeletion(plural: string, owner: KubeObject): void {
    const { finalizers = [] } = owner.metadata;
    if (finalizers.includes(ORPHAN)) this.#later(() => this.#orphan(plural, owner));
    if (finalizers.includes(FOREGROUND)) this.#later(() => this.#awaitDependents(plural, owner));
  }

  #index(plural: string, type: string, object: KubeObject, before: KubeObject | undefined): void {
    const { namespace = '', name, ownerReferences = [] } = object.metadata;
    const key = `${plural}/${namespace}/${name}`;
    const isGone = type === 'DELETED';
    for (const { uid } of before?.metadata.ownerReferences ?? []) this.#dependents.get(uid)?.delete(key);
    if (isGone) return;
    for (const { uid } of ownerReferences) {
      const owned = this.#dependents.get(uid) ?? new Map<string, KubeObject>();
      this.#dependents.set(uid, owned.set(key, object));
    }
  }

  #deleteDependents(uid: string): void {
    for (const [key, object] of this.#owned(uid)) {
      if (object.metadata.deletionTimestamp === undefined) this.#remove(pluralOf(key), object);
    }
  }

  #awaitDependents(plural: string, owner: KubeObject): void {
    const { uid = '' } = owner.metadata;
    this.#deleteDependents(uid);
    if (this.#dependents.get(uid)?.size) this.#later(() => this.#awaitDependents(plural, owner));
    else this.#dropFinalizer(plural, owner, FOREGROUND);
  }

  #orphan(plural: string, owner: KubeObject): void {
    const { uid = '' } = owner.metadata;
    for (const [key, { metadata }] of this.#owned(uid)) {
      const { namespace = '', name } = metadata;
      this.#api.update({ resource: resourceOf(pluralOf(key)), namespace, name }, (object) => {
        const left = object.metadata.ownerReferences?.filter((reference) => reference.uid !== uid) ?? [];
        if (left.length > 0) object.metadata.ownerReferences = left;
        else delete object.metadata.ownerReferences;
      });
    }
    this.#dropFinalizer(plural, owner, ORPHAN);
  }

  #dropFinalizer(plural: string, { metadata }: KubeObject, finalizer: string): void {
    const { namespace = '', name, uid } = metadata;
    if (this.#api.get(resourceOf(plural), namespace, name)?.metadata.uid !== uid) return;
    this.#api.update({ resource: resourceOf(plural), namespace, name }, (object) => {
      object.metadata.finalizers = object.metadata.finalizers?.filter((each) => each !== finalizer) ?? [];
    });
  }

  #remove(plural: string, { metadata }: KubeObject): void {
    const { namespace = '', name, uid } = metadata;
    const current = this.#api.get(resourceOf(plural), namespace, name);
    if (uid !== undefined && current?.metadata.uid === uid)
      this.#api.delete(resourceOf(plural), namespace, name, { uid });
  }

  /** What it owns now; it changes while one goes through it. */
  #owned(uid: string): readonly (readonly [key: string, object: KubeObject])[] {
    return Array.from(this.#dependents.get(uid) ?? []);
  }

  #later(task: () => void): void {
    this.#clock.after(this.#random.between(20, 800), task);
  }
}

function pluralOf(key: string): string {
  return key.slice(0, key.indexOf('/'));
}
