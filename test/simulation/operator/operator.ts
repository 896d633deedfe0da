import { WatchedCaches } from '../../../operator/kube/watched-caches.ts';
import { Controller, ownerKey } from '../../../operator/loops/controller.ts';
import type { Fence, Log, Metrics, QueueName } from '../../../operator/ports.ts';
import type { UserEvent } from '../../../operator/world.ts';
import type { SeededRandom } from '../../support/seeded-random.ts';
import type { VirtualClock } from '../../support/virtual-clock.ts';
import type { ApiServer } from '../kubernetes/api-server.ts';
import { kubeFailure } from '../kubernetes/failures.ts';
import type { ModelQueue } from '../sqs/model-queue.ts';
import { KubeLink, type LinkOptions } from './kube-link.ts';
import { type CrashPoint, Process } from './process.ts';
import { QueueLink } from './queue-link.ts';
import { WatchLink } from './watch-link.ts';
import type { Weather } from './weather.ts';

/** How long a terminated operator waits for its last polls, and when it is killed, in milliseconds. */
const DRAIN_MS = 40_000;
/** Requests that only a leader may send, by what they are called here. */
const EFFECTS = /^(create|patch|delete|release|copy)\b/;

/** `alpha-2` is the second process in the place of `alpha`. */
export function slotOf(actor: string): string {
  return actor.replace(/-\d+$/, '');
}

export interface OperatorOptions {
  readonly name: string;
  readonly clock: VirtualClock;
  readonly random: SeededRandom;
  readonly api: ApiServer;
  readonly queueAt: (url: string) => ModelQueue;
  readonly weather: Weather;
  readonly log: Log;
  readonly onRequest: (what: string) => void;
  readonly onEvent: (event: UserEvent) => void;
  readonly as: LinkOptions['as'];
  readonly onCrash: () => void;
  readonly onStuck: () => void;
  /** Told of what is counted, e.g. `leaseLapses shop/orders`. */
  readonly onCount: (line: string) => void;
}

/** One operator as `main.ts` puts it together, with a world of models around it. */
export class Operator {
  readonly name: string;
  readonly #process: Process;
  readonly #controller: Controller;
  readonly #caches: WatchedCaches;
  readonly #watches: WatchLink;
  /** While this process may not act: resolved when it may again. */
  #fenced: PromiseWithResolvers<void> | undefined;
  #isEnding = false;

  constructor(options: OperatorOptions) {
    const { clock, random, api, weather, log, onRequest, as } = options;
    this.name = options.name;
    this.#process = new Process({
      clock,
      random,
      onCrash: () => this.#crashed(options.onCrash),
      onStuck: options.onStuck,
    });
    const permit = (what: string) => {
      if (this.#fenced && EFFECTS.test(what)) throw kubeFailure('NotLeader', 'retry');
    };
    const fence: Fence = { permit: () => permit('create'), whenChanged: () => this.#fenced?.promise };
    const link = { process: this.#process, random, weather, permit, note: onRequest, as };
    const kube = new KubeLink(api, link);
    this.#watches = new WatchLink(api, kube, link);
    const processClock = this.#process.clock;
    this.#caches = new WatchedCaches({
      client: this.#watches,
      namespaces: [],
      clock: processClock,
      random: random.next,
      log,
      ownerKey,
    });
    const world = {
      kube,
      queue: new QueueLink(options.queueAt, fence, link),
      fence,
      events: { record: options.onEvent },
      checks: [],
      clock: processClock,
      log,
      caches: this.#caches,
    };
    this.#controller = new Controller({ world, random: random.next, metrics: metricsFor(options.onCount) });
    this.#caches.start(this.#controller);
    void this.#caches.whenSynced().then(() => this.#controller.start());
  }

  get alive(): boolean {
    return this.#process.alive;
  }

  /** Told to end, and still there. */
  isEnding(): boolean {
    return this.alive && this.#isEnding;
  }

  isPaused(): boolean {
    return this.#process.isPaused();
  }

  /** SIGKILL: requests on the wire may still be carried out, answers reach nobody. */
  kill(): void {
    this.#process.end();
    this.#watches.close();
  }

  /** Ends in the middle of its n-th request from now. */
  crashAt(requests: number, point: CrashPoint): void {
    this.#process.crashAt(requests, point);
  }

  /** SIGSTOP for a while, or a blocked event loop. */
  pause(ms: number): void {
    this.#process.pause(ms);
  }

  /** No crash and no pause is planned any more, and it may act. */
  calm(): void {
    this.#process.calm();
    this.unfence();
  }

  /** May not act from now on, until `unfence`, as when its Lease is in doubt. */
  fence(): void {
    this.#fenced ??= Promise.withResolvers();
    this.#controller.pause();
  }

  unfence(): void {
    if (!this.#fenced) return;
    this.#fenced.resolve();
    this.#fenced = undefined;
    this.#controller.resume();
  }

  /** SIGTERM; `whenEnded` is called when it has ended by itself. */
  drain(whenEnded: () => void): void {
    this.#isEnding = true;
    void this.#controller.drain(DRAIN_MS).then(() => {
      if (!this.alive) return;
      this.kill();
      whenEnded();
    });
  }

  /** Every watch breaks, as when the API server restarts. */
  breakWatches(): void {
    this.#watches.breakAll();
  }

  #crashed(tell: () => void): void {
    this.#watches.close();
    tell();
  }
}

function metricsFor(tell: (line: string) => void): Metrics {
  const note = (what: string, { namespace, name }: QueueName) => tell(`${what} ${namespace}/${name}`);
  return {
    knowQueue: (queue) => note('known', queue),
    forgetQueue: (queue) => note('forgotten', queue),
    count: (queue, what) => note(what, queue),
  };
}
