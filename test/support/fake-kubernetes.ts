import { isDeepStrictEqual } from 'node:util';
import { OperatorError } from '../../operator/errors.ts';
import type { Clock, KubeObject, Resource } from '../../operator/ports.ts';
import type { KubeApi } from '../../operator/world.ts';

export interface WatchEvent {
  readonly plural: string;
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly object: KubeObject;
}

type ListOptions = Parameters<KubeApi['list']>[1];
type PatchOptions = Parameters<KubeApi['patch']>[4];
type DeleteOptions = NonNullable<Parameters<KubeApi['delete']>[3]>;

/**
 * The API server as far as the operator leans on it: names are unique, writes on an old resourceVersion conflict, an
 * object with finalizers outlives its deletion, dependents go with their owner, a dry run creates nothing, and every
 * change is told in order. Everything happens at once; whoever wants latency or faults puts them in front.
 */
export class FakeKubernetes {
  readonly #clock: Clock;
  readonly #objects = new Map<string, KubeObject>();
  readonly #listeners = new Set<(event: WatchEvent) => void>();
  #version = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Every change from now on, in order; returns how to stop. */
  watch(listener: (event: WatchEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  get({ plural }: Resource, namespace: string, name: string): KubeObject | undefined {
    return copyOf(this.#objects.get(keyOf(plural, namespace, name)));
  }

  list({ plural }: Resource, options: ListOptions = {}): { items: KubeObject[]; resourceVersion: string } {
    const [label, value] = options.labelSelector?.split('=') ?? [];
    const fields = (options.fieldSelector?.split(',') ?? []).map((term) => term.split('='));
    const start = options.namespace === undefined ? `${plural}/` : keyOf(plural, options.namespace, '');
    const items = [...this.#objects]
      .filter(
        ([key, object]) =>
          key.startsWith(start) &&
          (!label || object.metadata.labels?.[label] === value) &&
          fields.every(([path = '', wanted]) => fieldAt(object, path) === wanted),
      )
      .map(([, object]) => copyOf(object));
    return { items, resourceVersion: String(this.#version) };
  }

  create({ plural }: Resource, namespace: string, body: KubeObject, dryRun = false): KubeObject {
    const key = keyOf(plural, namespace, body.metadata.name);
    if (this.#objects.has(key)) throw kubeFailure('AlreadyExists', 'terminal');
    const object: KubeObject = copyOf(body);
    Object.assign(object.metadata, {
      namespace,
      uid: `uid-${this.#version + 1}`,
      generation: 1,
      creationTimestamp: this.#time(),
    });
    return dryRun ? object : this.#store(plural, object, 'ADDED');
  }

  patch(
    { plural }: Resource,
    namespace: string,
    name: string,
    { body, type, subresource }: Patch,
  ): KubeObject {
    const before = this.#objects.get(keyOf(plural, namespace, name));
    if (!before) throw kubeFailure('NotFound', 'terminal');
    const after = type === 'json' ? jsonPatched(before, body) : merged(before, body);
    if (!isObject(after)) throw kubeFailure('Invalid', 'terminal');
    if (after.metadata.resourceVersion !== before.metadata.resourceVersion)
      throw kubeFailure('Conflict', 'retry');
    if (subresource === 'status') return this.#update(plural, before, { ...before, status: after['status'] });
    const isNew = (finalizer: string) => !before.metadata.finalizers?.includes(finalizer);
    if (before.metadata.deletionTimestamp !== undefined && after.metadata.finalizers?.some(isNew))
      throw kubeFailure('Invalid', 'terminal');
    return this.#update(plural, before, { ...after, status: before['status'] });
  }

  /** What a controller or a user writes, unconditionally. */
  update({ plural }: Resource, namespace: string, name: string, change: (object: KubeObject) => void): void {
    const before = this.#objects.get(keyOf(plural, namespace, name));
    if (!before) return;
    const after = copyOf(before);
    change(after);
    this.#update(plural, before, after);
  }

  delete({ plural }: Resource, namespace: string, name: string, options: DeleteOptions = {}): void {
    const object = this.#objects.get(keyOf(plural, namespace, name));
    if (!object) return;
    const { uid, resourceVersion } = object.metadata;
    const isOther = options.uid !== undefined && options.uid !== uid;
    const isOlder = options.resourceVersion !== undefined && options.resourceVersion !== resourceVersion;
    if (isOther || isOlder) throw kubeFailure('Conflict', 'retry');
    if (!object.metadata.finalizers?.length) this.#remove(plural, object);
    else if (object.metadata.deletionTimestamp === undefined) {
      const metadata = { ...object.metadata, deletionTimestamp: this.#time() };
      this.#store(plural, { ...object, metadata }, 'MODIFIED');
    }
  }

  #update(plural: string, before: KubeObject, after: KubeObject): KubeObject {
    if (isDeepStrictEqual(before, after)) return copyOf(before);
    if (before.metadata.deletionTimestamp !== undefined && !after.metadata.finalizers?.length) {
      this.#remove(plural, after);
      return copyOf(after);
    }
    const isEdit = !isDeepStrictEqual(before['spec'], after['spec']);
    const generation = (before.metadata.generation ?? 0) + (isEdit ? 1 : 0);
    return this.#store(plural, { ...after, metadata: { ...after.metadata, generation } }, 'MODIFIED');
  }

  #store(plural: string, object: KubeObject, type: WatchEvent['type']): KubeObject {
    this.#version += 1;
    const kept = copyOf(object);
    kept.metadata.resourceVersion = String(this.#version);
    const { namespace = '', name } = kept.metadata;
    this.#objects.set(keyOf(plural, namespace, name), kept);
    this.#tell({ plural, type, object: kept });
    return copyOf(kept);
  }

  #remove(plural: string, object: KubeObject): void {
    this.#version += 1;
    const { namespace = '', name, uid } = object.metadata;
    const last = copyOf(object);
    last.metadata.resourceVersion = String(this.#version);
    this.#objects.delete(keyOf(plural, namespace, name));
    this.#tell({ plural, type: 'DELETED', object: last });
    for (const [key, { metadata }] of this.#objects) {
      const [dependents = ''] = key.split('/');
      if (!metadata.ownerReferences?.some((owner) => owner.uid === uid)) continue;
      this.delete({ group: '', version: '', plural: dependents }, namespace, metadata.name);
    }
  }

  #tell(event: WatchEvent): void {
    for (const listener of this.#listeners) listener(copyOf(event));
  }

  #time(): string {
    return `${new Date(this.#clock.now()).toISOString().slice(0, 19)}Z`;
  }
}

interface Patch extends Pick<PatchOptions, 'type' | 'subresource'> {
  readonly body: object;
}

/** An error as the Kubernetes adapter gives it. */
export function kubeFailure(
  code: string,
  verdict: 'retry' | 'terminal',
  outcomeUnknown = false,
): OperatorError {
  return new OperatorError({ code, verdict, message: `kube: ${code}`, outcomeUnknown });
}

/** The field at a path such as `regarding.uid`. */
function fieldAt(object: KubeObject, path: string): unknown {
  return path.split('.').reduce<unknown>((value, name) => Object(value)[name], object);
}

/** As JSON over the wire: nothing is shared, and fields that are undefined are gone. */
function copyOf<T>(value: T): T {
  return value === undefined ? value : JSON.parse(JSON.stringify(value));
}

function keyOf(plural: string, namespace: string, name: string): string {
  return `${plural}/${namespace}/${name}`;
}

function isObject(value: unknown): value is KubeObject {
  return typeof value === 'object' && value !== null && 'metadata' in value;
}

/** JSON merge patch (RFC 7386). */
function merged(target: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return copyOf(patch);
  const base = typeof target === 'object' && target !== null && !Array.isArray(target) ? target : {};
  const result = new Map<string, unknown>(Object.entries(base));
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) result.delete(name);
    else if (value !== undefined) result.set(name, merged(result.get(name), value));
  }
  return Object.fromEntries(result);
}

/** The JSON patches that the operator writes: a test of the uid, then one field replaced. */
function jsonPatched(target: KubeObject, patch: object): unknown {
  let result: unknown = target;
  for (const step of Array.isArray(patch) ? patch : []) {
    const { op, path, value } = Object(step);
    const [field, inner] = String(path).split('/').slice(1);
    if (op === 'add' && field !== undefined && inner === undefined)
      result = { ...Object(result), [field]: copyOf(value) };
    else if (op !== 'test' || Object(Object(result)[field ?? ''])[inner ?? ''] !== value)
      throw kubeFailure('Invalid', 'terminal');
  }
  return result;
}
