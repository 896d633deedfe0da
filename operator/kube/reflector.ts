import { hasCode, messageOf, OperatorError } from '../errors.ts';
import type { Clock, KubeObject, Log, Random, Resource } from '../ports.ts';
import { listAll } from './list-all.ts';
import { orAbort } from './or-abort.ts';
import { ReconnectDelay } from './reconnect-delay.ts';
import type { RestClient } from './rest-client.ts';
import { ObjectStore, type ObjectStoreOptions } from './store.ts';
import type { WatchEvent } from './watch-stream.ts';

/** The server ends a watch after a random time in this range, so that many watches do not reconnect together. */
const WATCH_SECONDS_MIN = 300;
const WATCH_SECONDS_MAX = 600;
/** Twice the API server's bookmark period of a minute: a stream that is silent for longer is taken for dead. */
const INACTIVITY_MS = 120_000;
/** A watch that lived this long was a good one: the backoff starts anew. */
const STABLE_MS = 10_000;
/** After so many watches in a row that failed, the list is read again: the resourceVersion may be what is wrong. */
const FAILURES_BEFORE_LIST = 5;
/** The same for watches that were silent: perhaps something on the way lets no watch through, and lists it does. */
const SILENCES_BEFORE_LIST = 2;

export interface ReflectorOptions extends ObjectStoreOptions {
  readonly client: Pick<RestClient, 'list' | 'watch'>;
  readonly resource: Resource;
  /** Undefined: all namespaces. */
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Called with every object added, modified or deleted (then its last state), after the store has it. Only enqueue keys. */
  readonly onChange: (object: KubeObject) => void;
  /** How long a watch may be silent, in milliseconds; default 120,000. */
  readonly inactivityMs?: number;
}

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (reason: OperatorError) => void;
}

/**
 * A copy of one collection that is kept up to date: list, then watch, for as long as it is started.
 *
 *     new ──start──► listing ──complete list──► watching ──server ends it──► watching (from the last resourceVersion)
 *                     ▲    ▲                      │    │
 *                     │    └── 410 Gone, or five ─┘    └─ reset, refusal, silence ──backoff──► watching
 *                     │        failures or two silences in a row
 *                     └─ the list failed: backoff; the store keeps what it has
 *     any state ──stop──► stopped, for good
 *
 * Every failure, also the 410, waits for a backoff of 0.8 s to 30 s with jitter, which starts anew once a watch has lived
 * for 10 s. Every list, watch and pause is one generation with its own AbortController; nothing of an ended one is read
 * any more, so a late event cannot arrive. Nothing throws out of here: a failed list or watch is logged and tried again,
 * a throwing `onChange` is logged and the next event taken. An object that was deleted and created again while nobody
 * watched is noticed by its uid and reported in both states.
 *
 * Crash: nothing in here is durable; the next start lists.
 */
export class Reflector {
  readonly store: ObjectStore;
  readonly #options: ReflectorOptions;
  readonly #delay: ReconnectDelay;
  readonly #waiters = new Set<Waiter>();
  #generation = new AbortController();
  #loop: Promise<void> | undefined;
  #isStopped = false;
  #isSynced = false;
  #heardAt: number;
  #restarts = 0;
  #watchFailures = 0;
  /** Where the next watch begins; undefined: list first. */
  #resourceVersion: string | undefined;

  constructor(options: ReflectorOptions) {
    this.#options = options;
    this.#delay = new ReconnectDelay(options.random);
    this.#heardAt = options.clock.now();
    this.store = new ObjectStore(options);
  }

  start(): void {
    if (this.#isStopped) return;
    this.#loop ??= this.#run();
  }

  /** Ends everything; no `onChange` comes after the call. Who waits for the first list gets `Stopped`. Idempotent. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#generation.abort(stoppedError(this.#options.resource));
    for (const waiter of this.#waiters) waiter.reject(stoppedError(this.#options.resource));
    this.#waiters.clear();
    await this.#loop;
  }

  /** True once a first list is in the store; stays true. */
  hasSynced(): boolean {
    return this.#isSynced;
  }

  /** Resolves when `hasSynced()`; rejects with `Stopped` when that will not come. */
  async whenSynced(): Promise<void> {
    if (this.#isSynced) return;
    if (this.#isStopped) throw stoppedError(this.#options.resource);
    await new Promise<void>((resolve, reject) => this.#waiters.add({ resolve, reject }));
  }

  /** Milliseconds since the server was last heard: a list, an accepted watch, an event, a bookmark, a planned end. */
  staleForMs(): number {
    return this.#options.clock.now() - this.#heardAt;
  }

  /** How many lists and watches have failed since the start; a watch that the server ends by plan is not one. */
  restarts(): number {
    return this.#restarts;
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      const delayMs =
        this.#resourceVersion === undefined ? await this.#list() : await this.#watch(this.#resourceVersion);
      if (delayMs > 0) await this.#pause(delayMs);
    }
  }

  /** Reads the whole collection into the store. Returns how long to wait before the next step, in milliseconds. */
  async #list(): Promise<number> {
    const { signal } = this.#begin();
    const { client, resource, namespace, labelSelector, fieldSelector } = this.#options;
    try {
      const query = { namespace, labelSelector, fieldSelector };
      const list = await orAbort(listAll(client, resource, query, signal), signal);
      signal.throwIfAborted();
      this.#heard();
      this.#replace(list.items, list.resourceVersion);
      return 0;
    } catch (error) {
      if (!this.#isStopped) this.#failed(error, 'list failed, will retry');
      return this.#delay.nextMs();
    }
  }

  #replace(items: readonly KubeObject[], resourceVersion: string): void {
    const changes = this.store.replace(items, resourceVersion);
    this.#resourceVersion = resourceVersion;
    this.#watchFailures = 0;
    for (const { before, after } of changes) {
      const object = after ?? before;
      if (object !== undefined) this.#report(object);
    }
    this.#isSynced = true;
    for (const waiter of this.#waiters) waiter.resolve();
    this.#waiters.clear();
  }

  /** Follows the collection until the watch ends, by plan or not. Returns how long to wait before the next step. */
  async #watch(resourceVersion: string): Promise<number> {
    const generation = this.#begin();
    const startedAt = this.#options.clock.now();
    const isStable = (): boolean => this.#options.clock.now() - startedAt >= STABLE_MS;
    try {
      await this.#follow(resourceVersion, generation);
      this.#heard();
      this.#watchFailures = 0;
      if (!isStable()) return this.#delay.nextMs();
      this.#delay.reset();
      return 0;
    } catch (error) {
      if (isStable()) this.#delay.reset();
      if (!this.#isStopped) this.#watchFailed(error);
      return this.#delay.nextMs();
    }
  }

  async #follow(resourceVersion: string, generation: AbortController): Promise<void> {
    const { client, resource, namespace, random } = this.#options;
    const { labelSelector, fieldSelector } = this.#options;
    const timeoutSeconds = Math.round(WATCH_SECONDS_MIN + random() * (WATCH_SECONDS_MAX - WATCH_SECONDS_MIN));
    const query = {
      namespace,
      labelSelector,
      fieldSelector,
      resourceVersion,
      timeoutSeconds,
      allowWatchBookmarks: true,
    };
    const events = client.watch(resource, query, generation.signal)[Symbol.asyncIterator]();
    const endVigil = this.#abortOnSilence(generation);
    try {
      for (;;) {
        const next = await orAbort(events.next(), generation.signal);
        generation.signal.throwIfAborted();
        if (next.done) return;
        this.#heard();
        this.#take(next.value);
      }
    } finally {
      endVigil();
      generation.abort();
    }
  }

  /** Aborts the generation when nothing is heard for too long. The returned function ends the vigil. */
  #abortOnSilence(generation: AbortController): () => void {
    const { clock, resource, inactivityMs = INACTIVITY_MS } = this.#options;
    const startedAt = clock.now();
    let cancel = (): void => undefined;
    const look = (): void => {
      const leftMs = Math.max(startedAt, this.#heardAt) + inactivityMs - clock.now();
      if (leftMs > 0) cancel = clock.after(leftMs, look);
      else generation.abort(silenceError(resource, inactivityMs));
    };
    look();
    return () => cancel();
  }

  #take(event: WatchEvent): void {
    if (event.type === 'OPENED') return;
    if (event.type === 'BOOKMARK') {
      this.#advance(event.resourceVersion);
      return;
    }
    if (event.type === 'DELETED') this.store.remove(event.object);
    else this.store.observe(event.object);
    this.#advance(event.object.metadata.resourceVersion);
    this.#report(event.object);
  }

  /** The next watch begins here, so that a reconnect brings nothing twice. */
  #advance(resourceVersion: string | undefined): void {
    if (!resourceVersion) return;
    this.#resourceVersion = resourceVersion;
    this.store.advance(resourceVersion);
  }

  #report(object: KubeObject): void {
    try {
      this.#options.onChange(object);
    } catch (error) {
      const { namespace, name } = object.metadata;
      this.#options.log.error({ namespace, name, error: messageOf(error) }, 'change was not taken');
    }
  }

  #watchFailed(error: unknown): void {
    this.#watchFailures += 1;
    const bearable = hasCode(error, 'WatchSilent') ? SILENCES_BEFORE_LIST : FAILURES_BEFORE_LIST;
    if (hasCode(error, 'Gone') || this.#watchFailures >= bearable) this.#resourceVersion = undefined;
    this.#failed(
      error,
      this.#resourceVersion === undefined ? 'watch failed, will list' : 'watch failed, will reconnect',
    );
  }

  #failed(error: unknown, text: string): void {
    this.#restarts += 1;
    const { log, resource, namespace } = this.#options;
    const code = error instanceof OperatorError ? error.code : undefined;
    log.warn({ resource: resource.plural, namespace, code, error: messageOf(error) }, text);
  }

  #heard(): void {
    this.#heardAt = this.#options.clock.now();
  }

  #begin(): AbortController {
    this.#generation = new AbortController();
    // `stop()` may have come between two steps.
    if (this.#isStopped) this.#generation.abort(stoppedError(this.#options.resource));
    return this.#generation;
  }

  async #pause(delayMs: number): Promise<void> {
    const { signal } = this.#begin();
    let cancel = (): void => undefined;
    const elapsed = new Promise<void>((resolve) => {
      cancel = this.#options.clock.after(delayMs, resolve);
    });
    await orAbort(elapsed, signal).catch(() => cancel());
  }
}

function stoppedError(resource: Resource): OperatorError {
  return new OperatorError({
    code: 'Stopped',
    verdict: 'terminal',
    message: `reflector of ${resource.plural} is stopped`,
  });
}

function silenceError(resource: Resource, inactivityMs: number): OperatorError {
  return new OperatorError({
    code: 'WatchSilent',
    verdict: 'retry',
    message: `watch ${resource.plural}: nothing heard for ${inactivityMs} ms`,
  });
}
