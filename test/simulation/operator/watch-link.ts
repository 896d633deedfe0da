import type { WatchedCachesOptions } from '../../../operator/kube/watched-caches.ts';
import type { Resource } from '../../../operator/ports.ts';
import { type ApiServer, type Query, selectorOf } from '../kubernetes/api-server.ts';
import type { ObjectEvent } from '../kubernetes/event-log.ts';
import { kubeFailure } from '../kubernetes/failures.ts';
import type { KubeLink, LinkOptions } from './kube-link.ts';

type WatchClient = WatchedCachesOptions['client'];
type WatchOptions = Parameters<WatchClient['watch']>[1];
type WatchEvent = ReturnType<WatchClient['watch']> extends AsyncIterable<infer Event> ? Event : never;

const BOOKMARK_MS = 60_000;

/** List and watch as the reflectors use them: in order, late, now and then broken, and silent while the weather says so. */
export class WatchLink implements WatchClient {
  readonly #api: ApiServer;
  readonly #kube: KubeLink;
  readonly #options: LinkOptions;
  readonly #streams = new Set<Stream>();
  readonly #stopWatching: () => void;

  constructor(api: ApiServer, kube: KubeLink, options: LinkOptions) {
    this.#api = api;
    this.#kube = kube;
    this.#options = options;
    this.#stopWatching = api.watch((event) => {
      for (const stream of this.#streams) if (stream.plural === event.plural) stream.push(event);
    });
  }

  /** Breaks every watch, as when the API server restarts. */
  breakAll(): void {
    for (const stream of this.#streams) stream.break();
  }

  /** For a process that has ended. */
  close(): void {
    this.#stopWatching();
    this.#streams.clear();
  }

  list(resource: Resource, query: Query = {}) {
    return this.#kube.list(resource, query);
  }

  watch(resource: Resource, options: WatchOptions, signal?: AbortSignal): AsyncGenerator<WatchEvent, void> {
    return this.#follow(resource, options, signal);
  }

  async *#follow(
    resource: Resource,
    options: WatchOptions,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<WatchEvent, void> {
    const { process, random, weather, note } = this.#options;
    const fails = random.chance(weather.kubeChance);
    note(`watch ${resource.plural}${fails ? ' (refused)' : ''}`);
    await process.sleep(random.between(1, 20));
    if (fails) throw kubeFailure('Unavailable', 'retry');
    const past = this.#api.log.since(resource.plural, Number(options.resourceVersion));
    if (!past) throw kubeFailure('Gone', 'retry');
    const stream = new Stream(resource.plural, options, this.#options, () => this.#api.resourceVersion);
    this.#streams.add(stream);
    signal?.addEventListener('abort', () => stream.end(), { once: true });
    try {
      for (const event of past) stream.push(event);
      yield { type: 'OPENED' };
      yield* stream.events();
    } finally {
      this.#streams.delete(stream);
      stream.end();
    }
  }
}

/** One watch: what has happened, on its way. */
class Stream {
  readonly plural: string;
  readonly #link: LinkOptions;
  readonly #selects: (labels: Readonly<Record<string, string>>) => boolean;
  readonly #namespace: string | undefined;
  /** In order, whatever becomes of timers that fall due at once. */
  readonly #underWay: WatchEvent[] = [];
  readonly #arrived: WatchEvent[] = [];
  readonly #cancels: (() => void)[] = [];
  readonly #version: () => string;
  #lastArrivalMs = 0;
  #ended = false;
  /** The connection is half open: nothing arrives any more. */
  #isMute = false;
  #error: Error | undefined;
  #wake: (() => void) | undefined;

  // oxlint-disable-next-line max-params -- private to this file
  constructor(plural: string, options: WatchOptions, link: LinkOptions, version: () => string) {
    this.plural = plural;
    this.#link = link;
    this.#namespace = options.namespace;
    this.#selects = selectorOf(options.labelSelector);
    this.#version = version;
    const { process } = link;
    this.#cancels.push(process.after(options.timeoutSeconds * 1_000, () => this.end()));
    this.#bookmark();
  }

  push({ type, object }: ObjectEvent): void {
    const { namespace, labels = {} } = object.metadata;
    if (this.#namespace !== undefined && this.#namespace !== namespace) return;
    if (this.#selects(labels)) this.#send({ type, object });
  }

  break(): void {
    this.#error = kubeFailure('Unavailable', 'retry');
    this.end();
  }

  end(): void {
    this.#ended = true;
    for (const cancel of this.#cancels) cancel();
    this.#wake?.();
  }

  async *events(): AsyncGenerator<WatchEvent, void> {
    for (;;) {
      while (this.#arrived.length > 0) {
        const event = this.#arrived.shift();
        if (event) yield event;
      }
      if (this.#error) throw this.#error;
      if (this.#ended) return;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  #bookmark(): void {
    this.#cancels[1] = this.#link.process.after(BOOKMARK_MS, () => {
      this.#send({ type: 'BOOKMARK', resourceVersion: this.#version() });
      this.#bookmark();
    });
  }

  #send(event: WatchEvent): void {
    const { process, random, weather } = this.#link;
    const now = process.clock.now();
    // What a half-open connection swallows never arrives; the reflector reconnects once it has noticed.
    if (now < weather.watchSilentUntilMs) this.#isMute = true;
    if (this.#isMute) return;
    const atMs = Math.max(this.#lastArrivalMs, now + random.between(1, weather.watchLagMs));
    this.#lastArrivalMs = atMs;
    this.#underWay.push(event);
    process.after(atMs - now, () => {
      const next = this.#underWay.shift();
      if (this.#ended || !next) return;
      this.#arrived.push(next);
      this.#wake?.();
    });
  }
}
