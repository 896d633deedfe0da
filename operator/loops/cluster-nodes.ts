import { messageOf } from '../errors.ts';
import { type NodeFacts, nodeFactsFrom } from '../plan/node-facts.ts';
import type { Clock, Log } from '../ports.ts';
import { type KubeApi, NODES } from '../world.ts';

/** Nodes come and go slowly; a list of them is large, and is asked for once for all BatchQueues, in milliseconds. */
const KEPT_MS = 300_000;
/** After a list that failed. */
const RETRY_MS = 60_000;

export interface ClusterNodesOptions {
  readonly kube: Pick<KubeApi, 'list'>;
  readonly clock: Clock;
  readonly log: Log;
}

/** What runs pods here. For advice only: an operator that may not see nodes gives less of it. */
export class ClusterNodes {
  readonly #options: ClusterNodesOptions;
  #listed: Promise<readonly NodeFacts[] | undefined> | undefined;
  #dueAtMs = 0;

  constructor(options: ClusterNodesOptions) {
    this.#options = options;
  }

  /** Undefined when they cannot be seen. */
  async list(): Promise<readonly NodeFacts[] | undefined> {
    const nowMs = this.#options.clock.now();
    if (!this.#listed || nowMs >= this.#dueAtMs) {
      this.#dueAtMs = nowMs + KEPT_MS;
      this.#listed = this.#read();
    }
    return await this.#listed;
  }

  async #read(): Promise<readonly NodeFacts[] | undefined> {
    const { kube, clock, log } = this.#options;
    try {
      const { items } = await kube.list(NODES, {});
      return items.flatMap((node) => nodeFactsFrom(node) ?? []);
    } catch (error) {
      this.#dueAtMs = clock.now() + RETRY_MS;
      log.warn({ error: messageOf(error) }, 'nodes could not be listed');
      return undefined;
    }
  }
}
