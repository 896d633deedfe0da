import { FIELD_MANAGER } from '../api/names.ts';
import { hasCode } from '../errors.ts';
import type { Fence, KubeObject, Resource, Right } from '../ports.ts';
import { REVISIONS, SERVICE_ACCOUNTS } from '../world.ts';
import { goJson } from './go-json.ts';
import { type Attempt, errorOfNetwork, errorOfResponse } from './kube-error.ts';
import { type ObjectPage, parseJson, parseList, parseObject, parseToken } from './payload.ts';
import type { Transport, TransportRequest, TransportResponse } from './transport.ts';
import { readWatchEvents, type WatchEvent } from './watch-stream.ts';

/** Most time for one call, from asking for a connection to the last byte of the answer. */
const CALL_TIMEOUT_MS = 15_000;
const USER_AGENT = FIELD_MANAGER;

const PATCH_CONTENT_TYPE = {
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  json: 'application/json-patch+json',
  apply: 'application/apply-patch+yaml',
} as const;

/** What the server answers with: objects, or (for large ones) no more than their `metadata`. */
export const ACCEPT = {
  object: 'application/json',
  metadata: 'application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io, application/json',
} as const;

export interface ListOptions {
  /** Undefined: all namespaces, or a resource without namespaces. */
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
  /** Page size; undefined is everything in one answer. */
  readonly limit?: number | undefined;
  readonly continue?: string | undefined;
  /** Undefined asks for the newest state (a consistent read). */
  readonly resourceVersion?: string | undefined;
  readonly resourceVersionMatch?: 'Exact' | 'NotOlderThan' | undefined;
}

export interface CreateOptions {
  /** Checked and defaulted by the server, not stored. */
  readonly dryRun?: boolean;
  readonly timeoutMs?: number;
  readonly fieldManager?: string;
  /** Default `object`. */
  readonly answer?: keyof typeof ACCEPT;
}

export interface PatchOptions {
  readonly type: keyof typeof PATCH_CONTENT_TYPE;
  readonly subresource?: 'status' | 'scale';
  readonly timeoutMs?: number;
  /** Only with `apply`: take fields over from other owners. */
  readonly force?: boolean;
  readonly fieldManager?: string;
  /** Default `object`. */
  readonly answer?: keyof typeof ACCEPT;
}

export interface DeleteOptions {
  /** Deletes only this very object: another uid is a `Conflict`. */
  readonly uid?: string;
  readonly resourceVersion?: string;
  /** Default `Background`: for Jobs the server's own default would leave the pods behind. */
  readonly propagationPolicy?: 'Background' | 'Foreground' | 'Orphan';
  readonly gracePeriodSeconds?: number;
  readonly timeoutMs?: number;
}

export interface WatchOptions {
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
  readonly resourceVersion: string;
  /** When the server shall end the watch. */
  readonly timeoutSeconds: number;
  readonly allowWatchBookmarks: boolean;
}

interface Call {
  readonly attempt: Attempt;
  readonly method: TransportRequest['method'];
  readonly path: string;
  readonly query?: Query;
  readonly body?: unknown;
  /** Default: as JavaScript writes JSON. */
  readonly encode?: ((body: unknown) => string) | undefined;
  readonly contentType?: string;
  readonly answer?: keyof typeof ACCEPT | undefined;
  readonly timeoutMs?: number | undefined;
  /** What the process must be allowed to do; undefined: anybody may ask this. */
  readonly right?: Right | undefined;
}

type Query = Readonly<Record<string, string | number | boolean | undefined>>;

/**
 * The Kubernetes API as raw JSON. Every failure is an `OperatorError` whose message names call and object; a write whose
 * answer did not come has `outcomeUnknown: true`: it may have been done, read before asking again. Nothing is retried.
 *
 * With a fence no write leaves the process that the fence does not permit at the moment of its sending: `NotLeader`.
 */
export class RestClient {
  readonly #transport: Transport;
  readonly #fence: Fence | undefined;

  constructor(transport: Transport, fence?: Fence) {
    this.#transport = transport;
    this.#fence = fence;
  }

  /** One page. Items get `apiVersion` and `kind`, which servers leave out of lists. `Gone`: `continue` has expired. */
  async list(resource: Resource, options: ListOptions = {}): Promise<ObjectPage> {
    const { namespace, ...query } = options;
    const attempt = attemptOf('list', resource, namespace);
    const path = pathOf(resource, namespace);
    const text = await this.#call({ attempt, method: 'GET', path, query });
    return parseList(attempt, text);
  }

  /** Undefined when there is none. `namespace` undefined: a resource without namespaces. */
  async get(
    resource: Resource,
    namespace: string | undefined,
    name: string,
    { timeoutMs }: { readonly timeoutMs?: number } = {},
  ): Promise<KubeObject | undefined> {
    const attempt = attemptOf('get', resource, namespace, name);
    try {
      const path = pathOf(resource, namespace, name);
      const text = await this.#call({ attempt, method: 'GET', path, timeoutMs });
      return parseObject(attempt, parseJson(attempt, text));
    } catch (error) {
      if (hasCode(error, 'NotFound')) return undefined;
      throw error;
    }
  }

  /** The stored object, or its metadata. `AlreadyExists` when the name is taken. */
  async create(
    resource: Resource,
    namespace: string | undefined,
    body: KubeObject,
    options: CreateOptions = {},
  ): Promise<KubeObject> {
    const isDryRun = options.dryRun ?? false;
    const attempt = { ...attemptOf('create', resource, namespace, body.metadata.name), isWrite: !isDryRun };
    const text = await this.#call({
      attempt,
      method: 'POST',
      path: pathOf(resource, namespace),
      query: { fieldManager: options.fieldManager ?? FIELD_MANAGER, dryRun: isDryRun ? 'All' : undefined },
      body,
      encode: resource.plural === REVISIONS.plural ? goJson : undefined,
      contentType: 'application/json',
      answer: options.answer,
      timeoutMs: options.timeoutMs,
      right: isDryRun ? undefined : rightTo('create', resource),
    });
    return parseObject(attempt, parseJson(attempt, text));
  }

  /**
   * A token of a ServiceAccount for one audience. Nothing is stored by this, so no fence stands before it: whoever keeps
   * leases needs it, leading or not. Never in an error's message.
   */
  async requestToken(
    namespace: string,
    name: string,
    spec: { readonly audience: string; readonly expirationSeconds: number },
  ): Promise<string> {
    const attempt = attemptOf('create', TOKENS, namespace, name);
    const text = await this.#call({
      attempt,
      method: 'POST',
      path: `${pathOf(SERVICE_ACCOUNTS, namespace, name)}/token`,
      body: {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenRequest',
        spec: { audiences: [spec.audience], expirationSeconds: spec.expirationSeconds },
      },
      contentType: 'application/json',
    });
    return parseToken(attempt, text);
  }

  /** The stored object, or its metadata. A `metadata.resourceVersion` or a `test` in the body makes it conditional: `Conflict`, `Invalid`. */
  // oxlint-disable-next-line max-params -- the address of an object takes three
  async patch(
    resource: Resource,
    namespace: string | undefined,
    name: string,
    body: object,
    options: PatchOptions,
  ): Promise<KubeObject> {
    const attempt = writeOf('patch', resource, namespace, name);
    const subresource = options.subresource === undefined ? '' : `/${options.subresource}`;
    const text = await this.#call({
      attempt,
      method: 'PATCH',
      path: `${pathOf(resource, namespace, name)}${subresource}`,
      query: { fieldManager: options.fieldManager ?? FIELD_MANAGER, force: options.force },
      body,
      contentType: PATCH_CONTENT_TYPE[options.type],
      answer: options.answer,
      timeoutMs: options.timeoutMs,
      right: rightTo('patch', resource),
    });
    return parseObject(attempt, parseJson(attempt, text));
  }

  /** Asks for deletion; finalizers may keep the object for longer. An object that is not there is fine. */
  async delete(
    resource: Resource,
    namespace: string | undefined,
    name: string,
    options: DeleteOptions = {},
  ): Promise<void> {
    const { uid, resourceVersion, gracePeriodSeconds } = options;
    const body = {
      apiVersion: 'v1',
      kind: 'DeleteOptions',
      propagationPolicy: options.propagationPolicy ?? 'Background',
      gracePeriodSeconds,
      ...(uid === undefined && resourceVersion === undefined
        ? {}
        : { preconditions: { uid, resourceVersion } }),
    };
    try {
      await this.#call({
        attempt: writeOf('delete', resource, namespace, name),
        method: 'DELETE',
        path: pathOf(resource, namespace, name),
        body,
        contentType: 'application/json',
        timeoutMs: options.timeoutMs,
        right: 'lead',
      });
    } catch (error) {
      if (!hasCode(error, 'NotFound')) throw error;
    }
  }

  /**
   * What happens to a collection after `resourceVersion`, in order. Ends when the server ends it; throws when the
   * connection breaks, when the server reports an error in the stream (`Gone`: list again), and when `signal` aborts.
   */
  async *watch(
    resource: Resource,
    options: WatchOptions,
    signal: AbortSignal,
  ): AsyncGenerator<WatchEvent, void> {
    const { namespace, ...query } = options;
    const attempt = attemptOf('watch', resource, namespace);
    const path = withQuery(pathOf(resource, namespace), { ...query, watch: true });
    const headers = { accept: 'application/json', 'user-agent': USER_AGENT };
    const response = await this.#send(attempt, { method: 'GET', path, headers, signal, isStream: true });
    try {
      yield* readWatchEvents(attempt, response.body);
    } finally {
      // Also when the caller stops reading before the first line: the connection must not stay taken.
      response.body.destroy();
    }
  }

  async #call(call: Call): Promise<string> {
    const response = await this.#send(call.attempt, {
      method: call.method,
      path: withQuery(call.path, call.query ?? {}),
      headers: {
        accept: ACCEPT[call.answer ?? 'object'],
        'user-agent': USER_AGENT,
        ...(call.contentType === undefined ? {} : { 'content-type': call.contentType }),
      },
      ...(call.body === undefined ? {} : { body: (call.encode ?? JSON.stringify)(call.body) }),
      signal: AbortSignal.timeout(call.timeoutMs ?? CALL_TIMEOUT_MS),
      ...this.#gate(call.right),
    });
    return await textOf(call.attempt, response);
  }

  #gate(right: Right | undefined): Pick<TransportRequest, 'beforeSending'> {
    const fence = this.#fence;
    return fence && right !== undefined ? { beforeSending: () => fence.permit(right) } : {};
  }

  async #send(attempt: Attempt, request: TransportRequest): Promise<TransportResponse> {
    let response: TransportResponse;
    try {
      response = await this.#transport.send(request);
    } catch (error) {
      throw errorOfNetwork(attempt, error);
    }
    if (response.status < 400) return response;
    const { status, headers } = response;
    throw errorOfResponse(attempt, { status, headers, body: await textOf(attempt, response) });
  }
}

async function textOf(attempt: Attempt, response: TransportResponse): Promise<string> {
  try {
    return await response.body.text();
  } catch (error) {
    throw errorOfNetwork(attempt, error, true);
  }
}

/**
 * What a message needs to become a Job (its payload first, owned by the Job then), and what tells of it. Whoever has
 * received messages may still do that when another process leads already: the Job's name is the lock.
 */
const CLAIMING: ReadonlySet<string> = new Set([
  'create jobs',
  'create secrets',
  'patch secrets',
  'create events',
  'patch events',
]);

const TOKENS: Resource = { ...SERVICE_ACCOUNTS, plural: 'serviceaccounts/token' };

function rightTo(verb: 'create' | 'patch', { plural }: Resource): Right {
  return CLAIMING.has(`${verb} ${plural}`) ? 'claim' : 'lead';
}

function attemptOf(verb: string, resource: Resource, namespace: string | undefined, name?: string): Attempt {
  const place = [namespace, name].filter((part) => part !== undefined).join('/');
  return {
    text: place === '' ? `${verb} ${resource.plural}` : `${verb} ${resource.plural} ${place}`,
    isWrite: false,
  };
}

function writeOf(verb: string, resource: Resource, namespace: string | undefined, name: string): Attempt {
  return { ...attemptOf(verb, resource, namespace, name), isWrite: true };
}

function pathOf(resource: Resource, namespace: string | undefined, name?: string): string {
  const { group, version, plural } = resource;
  const root = group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
  const scope = namespace === undefined ? '' : `/namespaces/${encodeURIComponent(namespace)}`;
  return `${root}${scope}/${plural}${name === undefined ? '' : `/${encodeURIComponent(name)}`}`;
}

function withQuery(path: string, query: Query): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) parameters.set(name, String(value));
  }
  return parameters.size === 0 ? path : `${path}?${parameters.toString()}`;
}
