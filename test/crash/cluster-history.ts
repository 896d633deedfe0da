import { LABEL_QUEUE } from '../../operator/api/names.ts';
import { Reflector } from '../../operator/kube/reflector.ts';
import type { RestClient } from '../../operator/kube/rest-client.ts';
import type { KubeObject, Resource } from '../../operator/ports.ts';
import { systemClock } from '../../operator/process/system-clock.ts';
import { JOBS, PODS } from '../../operator/world.ts';
import { MemoryLog } from '../support/logs.ts';
import { NamespaceHistory } from './namespace-history.ts';

/** The Jobs and pods of every namespace, watched once for all cases. */
export class ClusterHistory {
  readonly #namespaces = new Map<string, NamespaceHistory>();
  readonly #reflectors: readonly Reflector[];

  private constructor(client: RestClient) {
    this.#reflectors = [
      this.#watch(client, JOBS, (history, job, isGone) => history.takeJob(job, isGone)),
      this.#watch(client, PODS, (history, pod, isGone) => history.takePod(pod, isGone)),
    ];
  }

  /** Begins to watch; resolves when nothing that happens from now on is missed. */
  static async start(client: RestClient): Promise<ClusterHistory> {
    const history = new ClusterHistory(client);
    for (const reflector of history.#reflectors) reflector.start();
    await Promise.all(history.#reflectors.map((reflector) => reflector.whenSynced()));
    return history;
  }

  of(namespace: string): NamespaceHistory {
    const known = this.#namespaces.get(namespace) ?? new NamespaceHistory();
    this.#namespaces.set(namespace, known);
    return known;
  }

  async stop(): Promise<void> {
    await Promise.all(this.#reflectors.map((reflector) => reflector.stop()));
  }

  #watch(
    client: RestClient,
    resource: Resource,
    take: (history: NamespaceHistory, object: KubeObject, isGone: boolean) => void,
  ): Reflector {
    const reflector = new Reflector({
      client,
      resource,
      labelSelector: LABEL_QUEUE,
      clock: systemClock,
      random: Math.random,
      log: new MemoryLog(),
      onChange: (object) => {
        const { namespace = '', name, uid } = object.metadata;
        const isGone = reflector.store.get(namespace, name)?.metadata.uid !== uid;
        take(this.of(namespace), object, isGone);
      },
    });
    return reflector;
  }
}
