import { isSameJson } from '../../../operator/api/json.ts';
import type { Clock, KubeObject, Resource } from '../../../operator/ports.ts';
import type { KubeApi } from '../../../operator/world.ts';
import { EventLog, type ObjectEvent } from './event-log.ts';
import { kubeFailure } from './failures.ts';
import { copyOf, patched } from './json.ts';

type PatchOptions = Parameters<KubeApi['patch']>[4];
type DeleteOptions = NonNullable<Parameters<KubeApi['delete']>[3]>;

/** What a list is to contain. */
export interface Query {
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  /** `path=value` terms joined by commas. */
  readonly fieldSelector?: string | undefined;
}

export interface Listing {
  readonly items: KubeObject[];
  readonly resourceVersion: string;
}

/** Where an object is. */
export interface Place {
  readonly resource: Resource;
  readonly namespace: string;
  readonly name: string;
}

const MAX_ANNOTATIONS_BYTES = 262_144;
const MAX_OBJECT_BYTES = 1_500_000;
const FOREGROUND = 'foregroundDeletion';
const ORPHAN = 'orphan';

/**
 * The API server as far as the operator leans on it: names are unique, writes on an old resourceVersion conflict, an
 * object with finalizers outlives its deletion, a dry run creates nothing, sizes are bounded, a namespace that is being
 * deleted takes nothing new, and every change is told in order. Everything happens at once; latency and faults are put
 * in front (`operator/kube-link.ts`). What is handed out is shared and must not be changed.
 */
export class ApiServer {
  readonly #clock: Clock;
  readonly #collections = new Map<string, Map<string, KubeObject>>();
  readonly #listeners = new Set<(event: ObjectEvent) => void>();
  readonly #terminating = new Set<string>();
  readonly log = new EventLog();
  #version = 0;
  #created = 0;
  /** Why a Job may not be created now: a quota, a policy. Asked before every create that is not a dry run. */
  admission: (object: KubeObject, plural: string) => Error | undefined = () => undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Every change from now on, in order; returns how to stop. */
  watch(listener: (event: ObjectEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  get({ plural }: Resource, namespace: string, name: string): KubeObject | undefined {
    return this.#collection(plural).get(keyOf(namespace, name));
  }

  list({ plural }: Resource, options: Query = {}): Listing {
    const { namespace } = options;
    const selects = selectorOf(options.labelSelector);
    const fields = (options.fieldSelector?.split(',') ?? []).map((term) => term.split('='));
    const items = [...this.#collection(plural).values()].filter(
      (object) =>
        (namespace === undefined || object.metadata.namespace === namespace) &&
        selects(object.metadata.labels ?? {}) &&
        fields.every(([path = '', wanted]) => fieldAt(object, path) === wanted),
    );
    return { items, resourceVersion: this.resourceVersion };
  }

  /** Of the last change of anything. */
  get resourceVersion(): string {
    return String(this.#version);
  }

  /** All collections that hold something. */
  plurals(): readonly string[] {
    return [...this.#collections.keys()];
  }

  create({ plural }: Resource, namespace: string, body: KubeObject, dryRun = false): KubeObject {
    if (this.#terminating.has(namespace)) throw kubeFailure('Forbidden', 'terminal');
    if (this.#collection(plural).has(keyOf(namespace, body.metadata.name)) && !dryRun)
      throw kubeFailure('AlreadyExists', 'terminal');
    const object: KubeObject = copyOf(body);
    assertSize(object);
    const refusal = this.admission(object, plural);
    if (refusal && !dryRun) throw refusal;
    this.#created += 1;
    Object.assign(object.metadata, {
      namespace,
      uid: `uid-${this.#created}`,
      generation: 1,
      creationTimestamp: this.time(),
    });
    return dryRun ? object : this.#store(plural, object, 'ADDED');
  }

  patch(
    { plural }: Resource,
    namespace: string,
    name: string,
    { body, type, subresource }: { readonly body: object } & Pick<PatchOptions, 'type' | 'subresource'>,
  ): KubeObject {
    const before = this.#collection(plural).get(keyOf(namespace, name));
    if (!before) throw kubeFailure('NotFound', 'terminal');
    const after = patched(before, body, type);
    if (!isObject(after)) throw kubeFailure('Invalid', 'terminal');
    const { resourceVersion, uid, deletionTimestamp } = before.metadata;
    if (after.metadata.resourceVersion !== resourceVersion || after.metadata.uid !== uid)
      throw kubeFailure('Conflict', 'retry');
    if (subresource === 'status') return this.#update(plural, before, { ...before, status: after['status'] });
    const isNew = (finalizer: string) => !before.metadata.finalizers?.includes(finalizer);
    if (deletionTimestamp !== undefined && after.metadata.finalizers?.some(isNew))
      throw kubeFailure('Invalid', 'terminal');
    assertSize(after);
    return this.#update(plural, before, { ...after, status: before['status'] });
  }

  /**
   * What a controller or a user writes, unconditionally. `change` may replace fields of the object and of its metadata;
   * what is below is shared with the object as it was.
   */
  update(place: Place, change: (object: KubeObject) => void): void {
    const { plural } = place.resource;
    const before = this.#collection(plural).get(keyOf(place.namespace, place.name));
    if (!before) return;
    const after = { ...before, metadata: { ...before.metadata } };
    change(after);
    this.#update(plural, before, after);
  }

  delete({ plural }: Resource, namespace: string, name: string, options: DeleteOptions = {}): void {
    const object = this.#collection(plural).get(keyOf(namespace, name));
    if (!object) throw kubeFailure('NotFound', 'terminal');
    const { uid, resourceVersion } = object.metadata;
    const isOther = options.uid !== undefined && options.uid !== uid;
    const isOlder = options.resourceVersion !== undefined && options.resourceVersion !== resourceVersion;
    if (isOther || isOlder) throw kubeFailure('Conflict', 'retry');
    const finalizers = [...(object.metadata.finalizers ?? []), ...propagation(options.propagationPolicy)];
    if (finalizers.length === 0) this.#remove(plural, object);
    else if (object.metadata.deletionTimestamp === undefined) {
      const metadata = { ...object.metadata, finalizers, deletionTimestamp: this.time() };
      this.#store(plural, { ...object, metadata }, 'MODIFIED');
    }
  }

  /** From now on the namespace takes nothing new; what is in it is deleted by the namespace controller (`garbage.ts`). */
  terminate(namespace: string): void {
    this.#terminating.add(namespace);
  }

  /** The namespace is made again. */
  admit(namespace: string): void {
    this.#terminating.delete(namespace);
  }

  /** False while the namespace is being deleted. */
  accepts(namespace: string): boolean {
    return !this.#terminating.has(namespace);
  }

  /** Kubernetes' own time format, whole seconds. */
  time(): string {
    return `${new Date(this.#clock.now()).toISOString().slice(0, 19)}Z`;
  }

  #collection(plural: string): Map<string, KubeObject> {
    const known = this.#collections.get(plural);
    if (known) return known;
    const collection = new Map<string, KubeObject>();
    this.#collections.set(plural, collection);
    return collection;
  }

  #update(plural: string, before: KubeObject, after: KubeObject): KubeObject {
    if (isSameJson(before, after)) return before;
    if (before.metadata.deletionTimestamp !== undefined && !after.metadata.finalizers?.length) {
      this.#remove(plural, after);
      return after;
    }
    const isEdit = !isSameJson(before['spec'], after['spec']);
    const generation = (before.metadata.generation ?? 0) + (isEdit ? 1 : 0);
    const metadata = { ...after.metadata, generation };
    return this.#store(plural, { ...after, metadata }, 'MODIFIED');
  }

  #store(plural: string, object: KubeObject, type: ObjectEvent['type']): KubeObject {
    this.#version += 1;
    const resourceVersion = String(this.#version);
    const kept = { ...object, metadata: { ...object.metadata, resourceVersion } };
    const { namespace = '', name } = kept.metadata;
    const collection = this.#collection(plural);
    const before = collection.get(keyOf(namespace, name));
    collection.set(keyOf(namespace, name), kept);
    this.#tell({ plural, type, object: kept, before });
    return kept;
  }

  #remove(plural: string, object: KubeObject): void {
    this.#version += 1;
    const { namespace = '', name } = object.metadata;
    const before = this.#collection(plural).get(keyOf(namespace, name));
    const last = { ...object, metadata: { ...object.metadata, resourceVersion: String(this.#version) } };
    this.#collection(plural).delete(keyOf(namespace, name));
    this.#tell({ plural, type: 'DELETED', object: last, before });
  }

  #tell(event: ObjectEvent): void {
    this.log.append(this.#version, event);
    for (const listener of this.#listeners) listener(event);
  }
}

/** The field at a path such as `regarding.uid`. */
function fieldAt(object: KubeObject, path: string): unknown {
  return path.split('.').reduce<unknown>((value, name) => Object(value)[name], object);
}

/** The resource of a collection, for calls that need no more than its name. */
export function resourceOf(plural: string): Resource {
  return { group: '', version: '', plural };
}

/** True for labels that a selector selects whose terms, joined by commas, are as `termOf` has them. */
export function selectorOf(selector = ''): (labels: Readonly<Record<string, string>>) => boolean {
  const parsed = (selector.match(/[^,(]+(\([^)]*\))?/g) ?? []).map(termOf);
  return (labels) =>
    parsed.every(({ key, values }) => {
      const label = labels[key];
      return label !== undefined && (values === undefined || values.includes(label));
    });
}

/** `key`, `key=value` or `key in (value,…)`; `values` undefined: any. */
function termOf(term: string): { readonly key: string; readonly values: readonly string[] | undefined } {
  const [, listed, among] = /^(\S+) in \((.*)\)$/.exec(term) ?? [];
  if (listed !== undefined) return { key: listed, values: among?.split(',') };
  const [key = '', value] = term.split('=');
  return { key, values: value === undefined ? undefined : [value] };
}

function propagation(policy: DeleteOptions['propagationPolicy']): readonly string[] {
  if (policy === 'Foreground') return [FOREGROUND];
  return policy === 'Orphan' ? [ORPHAN] : [];
}

function assertSize(object: KubeObject): void {
  const annotations = Object.entries(object.metadata.annotations ?? {});
  const bytes = annotations.reduce((sum, [key, value]) => sum + Buffer.byteLength(key + value), 0);
  if (bytes > MAX_ANNOTATIONS_BYTES) throw kubeFailure('Invalid', 'terminal');
  if (bytes > 10_000 && JSON.stringify(object).length > MAX_OBJECT_BYTES)
    throw kubeFailure('Invalid', 'terminal');
}

function keyOf(namespace: string, name: string): string {
  return `${namespace}/${name}`;
}

function isObject(value: unknown): value is KubeObject {
  return typeof value === 'object' && value !== null && 'metadata' in value;
}
