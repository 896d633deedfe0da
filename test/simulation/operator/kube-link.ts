import { OperatorError } from '../../../operator/errors.ts';
import type { KubeObject, Resource } from '../../../operator/ports.ts';
import type { KubeApi } from '../../../operator/world.ts';
import type { SeededRandom } from '../../support/seeded-random.ts';
import type { ApiServer, Listing, Query } from '../kubernetes/api-server.ts';
import { kubeFailure } from '../kubernetes/failures.ts';
import type { Process } from './process.ts';
import type { KubeFault, Weather } from './weather.ts';

/** Most time for one call, as the client has it, in milliseconds. */
const CALL_TIMEOUT_MS = 15_000;
/** How much later than its client has given up a request may still be carried out. */
const STRAY_MS = 900;

export interface LinkOptions {
  readonly process: Process;
  readonly random: SeededRandom;
  readonly weather: Weather;
  /** Throws when this process may not act at the moment. */
  readonly permit: (what: string) => void;
  /** Told of every request that is sent, and how it goes. */
  readonly note: (what: string) => void;
  /** Runs an effect so that it can be told whose it is, and whether it will be answered. */
  readonly as: <T>(carryOut: () => T, isAnswered?: boolean) => T;
}

interface Call<T> {
  readonly what: string;
  readonly isWrite: boolean;
  readonly timeoutMs?: number | undefined;
  readonly carryOut: () => T;
}

/** What one operator reaches of the API server: every call takes time, may fail, and may be carried out although it failed. */
export class KubeLink implements KubeApi {
  readonly #api: ApiServer;
  readonly #options: LinkOptions;

  constructor(api: ApiServer, options: LinkOptions) {
    this.#api = api;
    this.#options = options;
  }

  get(resource: Resource, namespace: string, name: string): Promise<KubeObject | undefined> {
    return this.#call({
      what: `get ${resource.plural} ${name}`,
      isWrite: false,
      carryOut: () => this.#api.get(resource, namespace, name),
    });
  }

  list(resource: Resource, query: Query): Promise<Listing> {
    const what = `list ${resource.plural}`;
    return this.#call({ what, isWrite: false, carryOut: () => this.#api.list(resource, query) });
  }

  create(
    resource: Resource,
    namespace: string,
    body: KubeObject,
    options: { dryRun?: boolean; timeoutMs?: number } = {},
  ): Promise<KubeObject> {
    const verb = options.dryRun ? 'dry-run' : 'create';
    return this.#call({
      what: `${verb} ${resource.plural} ${body.metadata.name}`,
      isWrite: !options.dryRun,
      timeoutMs: options.timeoutMs,
      carryOut: () => this.#api.create(resource, namespace, body, options.dryRun),
    });
  }

  // oxlint-disable-next-line max-params -- the port's own
  patch(
    resource: Resource,
    namespace: string,
    name: string,
    body: object,
    options: Parameters<KubeApi['patch']>[4],
  ): Promise<KubeObject> {
    return this.#call({
      what: `patch ${resource.plural} ${name}${options.subresource ? ` ${options.subresource}` : ''}`,
      isWrite: true,
      timeoutMs: options.timeoutMs,
      carryOut: () => this.#api.patch(resource, namespace, name, { body, ...options }),
    });
  }

  async delete(
    resource: Resource,
    namespace: string,
    name: string,
    options?: Parameters<KubeApi['delete']>[3],
  ): Promise<void> {
    const what = `delete ${resource.plural} ${name}`;
    const carryOut = () => this.#api.delete(resource, namespace, name, options);
    await this.#call({ what, isWrite: true, carryOut }).catch((error: unknown) => {
      // As the client has it: an object that is gone is what was asked for.
      if (!(error instanceof OperatorError && error.code === 'NotFound')) throw error;
    });
  }

  /** One call, from sending it to its answer. Never ends for a process that is gone. */
  async #call<T>({ what, isWrite, timeoutMs = CALL_TIMEOUT_MS, carryOut }: Call<T>): Promise<T> {
    const { process, random, weather, note, as, permit } = this.#options;
    permit(what);
    const crashes = process.beginRequest();
    if (crashes('before it is sent')) return never();
    const fault = random.chance(weather.kubeChance) ? random.pick(weather.kubeFaults) : undefined;
    note(fault ? `${what} (${fault})` : what);
    const refusal = fault && refusalOf(fault, isWrite, random);
    if (refusal) {
      await process.sleep(random.between(1, 20));
      throw refusal;
    }
    const arrivesInMs = fault === 'timeout' ? slowArrival(timeoutMs, random) : random.between(1, 20);
    const effect = process.onTheWire(arrivesInMs, () => {
      const result = as(carryOut);
      crashes('when it is carried out');
      return result;
    });
    if (fault === 'timeout') {
      effect.catch(() => undefined);
      await process.sleep(timeoutMs);
      throw kubeFailure('RequestTimeout', 'retry', { outcomeUnknown: isWrite });
    }
    const answer = await effect.then(
      (value) => ({ value }),
      (error: unknown) => ({ error }),
    );
    await process.sleep(random.between(1, 20));
    if (crashes('when it is answered')) return never();
    if (fault) throw lostAnswer(fault, isWrite);
    if ('error' in answer) throw answer.error;
    return answer.value;
  }
}

/** Within the client's time, or just after it has given up. */
function slowArrival(timeoutMs: number, random: SeededRandom): number {
  return random.chance(0.4) ? timeoutMs + random.between(1, STRAY_MS) : random.between(0, timeoutMs);
}

/** The error of a request that is not carried out; undefined for one that is. */
function refusalOf(fault: KubeFault, isWrite: boolean, random: SeededRandom): OperatorError | undefined {
  switch (fault) {
    case 'refused':
      return kubeFailure('Unavailable', 'retry');
    case 'reset':
      return kubeFailure('Unavailable', 'retry', { outcomeUnknown: isWrite });
    case 'throttled':
      return kubeFailure('Throttled', 'retry', { retryAfterMs: random.between(1, 5) * 1_000 });
    case 'forbidden':
      return kubeFailure('Forbidden', 'terminal');
    case 'error':
      return random.chance(0.5) ? lostAnswer(fault, isWrite) : undefined;
    case 'timeout':
      return undefined;
    case 'lost':
      return undefined;
  }
}

/** The error of a request that may have been carried out. */
function lostAnswer(fault: KubeFault, isWrite: boolean): OperatorError {
  const code = fault === 'error' ? 'ServerError' : 'Unavailable';
  return kubeFailure(code, 'retry', { outcomeUnknown: isWrite });
}

export function never<T>(): Promise<T> {
  return new Promise(() => undefined);
}
