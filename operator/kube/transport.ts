import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import type { RequestOptions } from 'node:https';
import { createSecureContext } from 'node:tls';
import { KubeConfig } from '@kubernetes/client-node';
import { Agent, DecoratorHandler, type Dispatcher } from 'undici';
import { messageOf, OperatorError } from '../errors.ts';

const SERVICE_ACCOUNT_TOKEN = '/var/run/secrets/kubernetes.io/serviceaccount/token';

const DEFAULT_CONNECTIONS = 64;
const CONNECT_TIMEOUT_MS = 10_000;
/** Longer than a call's own timeout (15 s), so that it only ends calls that were started without one, and watches. */
const HEADERS_TIMEOUT_MS = 30_000;
/** Below the API server's own 90 s, so that a request is never written to a connection the server is closing. */
const IDLE_TIMEOUT_MS = 75_000;
/** As client-go: before load balancers forget an idle connection (60 s on some). */
const TCP_KEEP_ALIVE_MS = 30_000;

export interface TransportRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Path and query below the server's address, from the leading slash. */
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly body?: string;
  readonly signal: AbortSignal;
  /** True for watches: a body that may stay silent; it pins one connection as long as it is read. */
  readonly isStream?: boolean;
  /** Called when its first byte is about to be written, after any wait for a connection. Its throw is the outcome then. */
  readonly beforeSending?: () => void;
}

export interface TransportResponse {
  readonly status: number;
  readonly headers: Record<string, string | string[] | undefined>;
  readonly body: AsyncIterable<Uint8Array> & { text(): Promise<string>; destroy(error?: Error): unknown };
}

/** The one way to the API server. Throws what the network throws; `OperatorError` when it could not even begin. */
export interface Transport {
  send(request: TransportRequest): Promise<TransportResponse>;
  /** Ends every connection at once; requests in flight fail. To be called when nothing is awaited any more. */
  close(): Promise<void>;
}

export interface TransportOptions {
  /**
   * Most connections that calls share, default 64; they wait in line when all are busy. Each watch has one of its own
   * beside them: as many as there are watches, which grow with the namespaces that are served.
   */
  readonly connections?: number;
}

/**
 * Credentials and the server's address: an explicit kubeconfig, else the pod's own service account when one is mounted,
 * else what kubectl would use. The service account comes before `$KUBECONFIG`, as a pod has no business with the latter.
 */
export function loadKubeConfig(options: { kubeconfigPath?: string } = {}): KubeConfig {
  const kubeConfig = new KubeConfig();
  try {
    if (options.kubeconfigPath !== undefined) kubeConfig.loadFromFile(options.kubeconfigPath);
    else if (existsSync(SERVICE_ACCOUNT_TOKEN)) kubeConfig.loadFromCluster();
    else kubeConfig.loadFromDefault();
  } catch (cause) {
    throw configError(`kubeconfig cannot be read: ${messageOf(cause)}`, cause);
  }
  return kubeConfig;
}

/**
 * HTTP/1.1 connections: a pool for calls, and one for each watch. HTTP/2 would put all calls and watches on one connection, and when
 * that one goes silent undici never leaves it. Credentials are asked from `kubeConfig` for every request, which reads a
 * token file again after a minute and runs an exec plugin again after expiry; when certificates change on disk, new
 * requests use a new pool and the old one ends with its last request.
 */
export function createTransport(kubeConfig: KubeConfig, options: TransportOptions = {}): Transport {
  return new PooledTransport(kubeConfig, options.connections ?? DEFAULT_CONNECTIONS);
}

/** Connections that were made with the same certificates. */
interface Pools {
  readonly fingerprint: string;
  readonly calls: Agent;
  readonly watches: Agent;
}

class PooledTransport implements Transport {
  readonly #kubeConfig: KubeConfig;
  readonly #connections: number;
  readonly #origin: string;
  readonly #basePath: string;
  /** Those that are not closed yet: the current ones and older ones that still have requests. */
  readonly #agents = new Set<Agent>();
  #current: Pools | undefined;

  constructor(kubeConfig: KubeConfig, connections: number) {
    const cluster = kubeConfig.getCurrentCluster();
    if (cluster === null) throw configError('kubeconfig has no current cluster');
    if (cluster.proxyUrl) throw configError('kubeconfig: proxy-url is not supported');
    const url = new URL(cluster.server);
    if (url.protocol !== 'https:' && !cluster.skipTLSVerify) {
      throw configError(`kubeconfig: server must be https, got ${url.protocol}//${url.host}`);
    }
    this.#kubeConfig = kubeConfig;
    this.#connections = connections;
    this.#origin = url.origin;
    this.#basePath = url.pathname.replace(/\/+$/, '');
  }

  async send(request: TransportRequest): Promise<TransportResponse> {
    const { pools, headers } = await this.#authenticated();
    const agent = request.isStream ? pools.watches : pools.calls;
    const { statusCode, ...response } = await gated(agent, request.beforeSending).request({
      origin: this.#origin,
      method: request.method,
      path: `${this.#basePath}${request.path}`,
      headers: { ...headers, ...request.headers },
      body: request.body ?? null,
      signal: request.signal,
      // undici would close the connection behind every DELETE with a body, which costs a TLS handshake each.
      reset: false,
      // A watch may be silent for long; the reflector has its own idea of too long.
      ...(request.isStream ? { bodyTimeout: 0 } : {}),
    });
    // Whoever reads gets the error from the iterator; an abandoned watch must not bring the process down with it.
    if (request.isStream) response.body.on('error', () => undefined);
    return { status: statusCode, headers: response.headers, body: response.body };
  }

  async close(): Promise<void> {
    await Promise.all([...this.#agents].map(async (agent) => await agent.destroy()));
    this.#current = undefined;
  }

  async #authenticated(): Promise<{ pools: Pools; headers: Record<string, string> }> {
    const applied: RequestOptions = {};
    try {
      await this.#kubeConfig.applyToHTTPSOptions(applied);
    } catch (cause) {
      throw credentialsError(cause);
    }
    return { pools: this.#poolsFor(applied), headers: headersOf(applied) };
  }

  #poolsFor(applied: RequestOptions): Pools {
    const fingerprint = fingerprintOf(applied);
    if (this.#current?.fingerprint === fingerprint) return this.#current;
    const outdated = this.#current;
    // `null`: no limit.
    const pools = {
      fingerprint,
      calls: newAgent(applied, this.#connections),
      watches: newAgent(applied, null),
    };
    for (const agent of [pools.calls, pools.watches]) this.#agents.add(agent);
    this.#current = pools;
    if (outdated) for (const agent of [outdated.calls, outdated.watches]) void this.#retire(agent);
    return pools;
  }

  async #retire(agent: Agent): Promise<void> {
    await agent.close().catch(() => undefined);
    this.#agents.delete(agent);
  }
}

function gated(agent: Agent, beforeSending: (() => void) | undefined): Dispatcher {
  if (beforeSending === undefined) return agent;
  return agent.compose(
    (dispatch) => (options, handler) => dispatch(options, new GatedHandler(handler, beforeSending)),
  );
}

/** undici starts a request in the same breath as it writes it; a throw there ends it unsent. */
class GatedHandler extends DecoratorHandler {
  readonly #handler: Dispatcher.DispatchHandler;
  readonly #beforeSending: () => void;

  constructor(handler: Dispatcher.DispatchHandler, beforeSending: () => void) {
    super(handler);
    this.#handler = handler;
    this.#beforeSending = beforeSending;
  }

  onRequestStart(controller: Dispatcher.DispatchController, context: unknown): void {
    this.#beforeSending();
    this.#handler.onRequestStart?.(controller, context);
  }
}

function newAgent(applied: RequestOptions, connections: number | null): Agent {
  const { ca, cert, key, passphrase, rejectUnauthorized, servername } = applied;
  return new Agent({
    allowH2: false,
    pipelining: 1,
    connections,
    headersTimeout: HEADERS_TIMEOUT_MS,
    keepAliveTimeout: IDLE_TIMEOUT_MS,
    connect: {
      // Reading certificates takes milliseconds: once per pool, not once per connection.
      secureContext: createSecureContext({ ca, cert, key, passphrase }),
      rejectUnauthorized,
      servername,
      timeout: CONNECT_TIMEOUT_MS,
      keepAlive: true,
      keepAliveInitialDelay: TCP_KEEP_ALIVE_MS,
    },
  });
}

function headersOf(applied: RequestOptions): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(applied.headers ?? {})) {
    if (value !== undefined) headers[name] = String(value).trim();
  }
  if (applied.auth) headers['Authorization'] = `Basic ${Buffer.from(applied.auth).toString('base64')}`;
  return headers;
}

/** A digest, so that no second copy of a private key lies in memory. */
function fingerprintOf(applied: RequestOptions): string {
  const hash = createHash('sha256');
  for (const part of [applied.ca, applied.cert, applied.key, applied.servername]) {
    if (typeof part === 'string' || Buffer.isBuffer(part)) hash.update(part);
    hash.update('\0');
  }
  return hash.digest('hex');
}

/** The reason may quote an exec plugin's output, which may hold a credential: only a code like ENOENT is told. */
function credentialsError(cause: unknown): OperatorError {
  const code = cause instanceof Error && 'code' in cause ? ` (${String(cause.code)})` : '';
  return new OperatorError({
    code: 'Unauthorized',
    verdict: 'retry',
    message: `kubernetes credentials are not available${code}`,
  });
}

function configError(message: string, cause?: unknown): OperatorError {
  return new OperatorError({ code: 'KubeconfigInvalid', verdict: 'terminal', message, cause });
}
