import { messageOf } from '../errors.ts';
import { type NodeFacts, nodeFactsFrom } from '../plan/node-facts.ts';
import type { Clock, Log } from '../ports.ts';
import { type KubeApi, NODES } from '../world.ts';
import { SharedRead } from './shared-read.ts';

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
  readonly #nodes: SharedRead<readonly NodeFacts[] | undefined>;
  #maxAgeMs = KEPT_MS;

  constructor(options: ClusterNodesOptions) {
    this.#options = options;
    this.#nodes = new SharedRead(() => this.#read(), options.clock);
  }

  /** Undefined when they cannot be seen. */
  list(): Promise<readonly NodeFacts[] | undefined> {
    return this.#nodes.get(this.#maxAgeMs);
  }

  async #read(): Promise<readonly NodeFacts[] | undefined> {
    const { kube, log } = this.#options;
    try {
      const { items } = await kube.list(NODES, {});
      this.#maxAgeMs = KEPT_MS;
      return items.flatMap((node) => nodeFactsFrom(node) ?? []);
    } catch (error) {
      this.#maxAgeMs = RETRY_MS;
      log.warn({ error: messageOf(error) }, 'nodes could not be listed');
      return undefined;
    }
  }
}
