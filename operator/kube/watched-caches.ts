import { LABEL_PULL_SECRET, LABEL_QUEUE } from '../api/names.ts';
import type { Clock, KubeObject, Log, Random, Resource } from '../ports.ts';
import { BATCH_QUEUES, JOBS, type ObjectCache, PODS, REVISIONS, SECRETS } from '../world.ts';
import { stripPod } from './pod-strip.ts';
import { Reflector } from './reflector.ts';
import type { RestClient } from './rest-client.ts';

export interface WatchedCachesOptions {
  readonly client: Pick<RestClient, 'list' | 'watch'>;
  /** Empty: all namespaces. */
  readonly namespaces: readonly string[];
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Index key of a Job, a pod or a revision: the BatchQueue it belongs to. */
  readonly ownerKey: (object: KubeObject) => string | undefined;
}

export interface ChangeListeners {
  readonly batchQueueChanged: (object: KubeObject) => void;
  /** A Job, a pod or a revision. */
  readonly ownedChanged: (object: KubeObject) => void;
  /** A pull secret that the operator keeps; only its name is known. */
  readonly pullSecretChanged: (object: KubeObject) => void;
}

/** The collections that the operator watches, one reflector per namespace each. */
export class WatchedCaches {
  readonly batchQueues: ObjectCache;
  readonly jobs: ObjectCache;
  /** Of our Jobs; only what decisions read of them (see `stripPod`). */
  readonly pods: ObjectCache;
  readonly revisions: ObjectCache;
  readonly #reflectors: Reflector[] = [];
  #listeners: ChangeListeners | undefined;

  constructor(options: WatchedCachesOptions) {
    const owned = { labelSelector: LABEL_QUEUE, indexBy: options.ownerKey };
    this.batchQueues = this.#watch(options, BATCH_QUEUES, (object) =>
      this.#listeners?.batchQueueChanged(object),
    );
    const onOwned = (object: KubeObject) => this.#listeners?.ownedChanged(object);
    this.jobs = this.#watch({ ...options, ...owned }, JOBS, onOwned);
    this.pods = this.#watch({ ...options, ...owned, strip: stripPod }, PODS, onOwned);
    this.revisions = this.#watch({ ...options, ...owned }, REVISIONS, onOwned);
    // Only to hear of edits: what is in them is read when it is needed, and never kept.
    const kept = { labelSelector: LABEL_PULL_SECRET, strip: stripToName };
    this.#watch({ ...options, ...kept }, SECRETS, (secret) => this.#listeners?.pullSecretChanged(secret));
  }

  /** Begins to watch. */
  start(listeners: ChangeListeners): void {
    this.#listeners = listeners;
    for (const reflector of this.#reflectors) reflector.start();
  }

  /** Resolves when every collection has been listed once. */
  async whenSynced(): Promise<void> {
    await Promise.all(this.#reflectors.map((reflector) => reflector.whenSynced()));
  }

  hasSynced(): boolean {
    return this.#reflectors.every((reflector) => reflector.hasSynced());
  }

  /** Milliseconds since the API server was last heard, on the watch where that is longest ago. */
  staleForMs(): number {
    return Math.max(...this.#reflectors.map((reflector) => reflector.staleForMs()));
  }

  async stop(): Promise<void> {
    await Promise.all(this.#reflectors.map((reflector) => reflector.stop()));
  }

  #watch(
    options: WatchedCachesOptions & {
      labelSelector?: string;
      indexBy?: (object: KubeObject) => string | undefined;
      strip?: (object: KubeObject) => KubeObject;
    },
    resource: Resource,
    onChange: (object: KubeObject) => void,
  ): ObjectCache {
    const scopes = options.namespaces.length === 0 ? [undefined] : options.namespaces;
    const log = options.log.child({ watch: resource.plural });
    const reflectors = scopes.map(
      (namespace) => new Reflector({ ...options, resource, namespace, log, onChange }),
    );
    this.#reflectors.push(...reflectors);
    return new JoinedCache(reflectors, options.namespaces);
  }
}

function stripToName({ metadata }: KubeObject): KubeObject {
  const { name, namespace = '', uid = '', resourceVersion = '' } = metadata;
  return { metadata: { name, namespace, uid, resourceVersion } };
}

/** The stores of several namespaces as one cache. */
class JoinedCache implements ObjectCache {
  readonly #reflectors: readonly Reflector[];
  readonly #namespaces: readonly string[];

  constructor(reflectors: readonly Reflector[], namespaces: readonly string[]) {
    this.#reflectors = reflectors;
    this.#namespaces = namespaces;
  }

  get(namespace: string, name: string): KubeObject | undefined {
    return this.#storeOf(namespace)?.get(namespace, name);
  }

  list(): readonly KubeObject[] {
    return this.#reflectors.flatMap(({ store }) => store.list());
  }

  byIndex(key: string): readonly KubeObject[] {
    const [first, ...others] = this.#reflectors;
    // As it is: whoever reads it again sees by its identity that nothing has changed.
    if (first && others.length === 0) return first.store.byIndex(key);
    return this.#reflectors.flatMap(({ store }) => store.byIndex(key));
  }

  put(object: KubeObject): boolean {
    return this.#storeOf(object.metadata.namespace)?.put(object) ?? false;
  }

  remove(object: KubeObject): void {
    this.#storeOf(object.metadata.namespace)?.remove(object);
  }

  #storeOf(namespace: string | undefined) {
    const index = this.#namespaces.length === 0 ? 0 : this.#namespaces.indexOf(namespace ?? '');
    return this.#reflectors[index]?.store;
  }
}
