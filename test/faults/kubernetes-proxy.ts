import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Agent, createServer, request as httpsRequest, type RequestOptions, type Server } from 'node:https';
import type { Socket } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { loadKubeConfig } from '../../operator/kube/transport.ts';
import { issueCertificate, makeAuthority } from '../cluster/certificate.ts';
import type { Passage, Tollgate } from './call-sequence.ts';
import { type Fault, refuse, sendGoneEvent } from './kubernetes-faults.ts';
import {
  type KubernetesRequest,
  kubernetesCallKind,
  matchesRequest,
  parseKubernetesRequest,
  type RequestMatch,
} from './kubernetes-requests.ts';

export interface FaultRule {
  readonly match: RequestMatch;
  /** Only the nth matching request since the rule was added, from 1; undefined: every one. */
  readonly nth?: number;
  readonly fault: Fault;
}

/** A rule in force. */
export interface ActiveRule {
  /** How many requests the fault has struck. */
  readonly hits: () => number;
  readonly remove: () => void;
}

interface RuleState {
  readonly rule: FaultRule;
  matched: number;
  hits: number;
}

interface Upstream {
  readonly hostname: string;
  readonly port: string;
  readonly agent: Agent;
}

export interface KubernetesProxyOptions {
  /** Asked at each place of each call that is no watch. */
  readonly tollgate?: Tollgate;
}

interface OpenWatch {
  readonly request: KubernetesRequest;
  readonly response: ServerResponse;
  isSilent: boolean;
}

/**
 * A reverse proxy in front of a real API server that does to requests what networks and servers do on bad days. Clients
 * need no credentials: it presents those of the kubeconfig upstream. HTTP/1.1 with keep-alive, watches are streamed.
 */
export class KubernetesProxy {
  readonly #server: Server;
  readonly #certificate: string;
  readonly #upstream: Upstream;
  readonly #tollgate: Tollgate | undefined;
  readonly #rules = new Set<RuleState>();
  /** The TCP sockets below TLS, which alone can be reset, by the client's port. */
  readonly #sockets = new Map<number | undefined, Socket>();
  readonly #watches = new Set<OpenWatch>();
  /** Client ports of connections that nothing comes through any more, though they are open. */
  readonly #halfOpen = new Set<number | undefined>();
  readonly #requests: KubernetesRequest[] = [];
  #connections = 0;
  #port = 0;

  /** Listens on a free port of 127.0.0.1, in front of the kubeconfig's current cluster. */
  static async start(kubeconfigPath: string, options: KubernetesProxyOptions = {}): Promise<KubernetesProxy> {
    const kubeConfig = loadKubeConfig({ kubeconfigPath });
    const credentials: RequestOptions = {};
    await kubeConfig.applyToHTTPSOptions(credentials);
    const { hostname, port } = new URL(kubeConfig.getCurrentCluster()?.server ?? '');
    const { ca, cert, key } = credentials;
    const agent = new Agent({ keepAlive: true, ca, cert, key });
    const proxy = new KubernetesProxy({ hostname, port, agent }, options);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    const address = proxy.#server.address();
    if (address !== null && typeof address === 'object') proxy.#port = address.port;
    return proxy;
  }

  private constructor(upstream: Upstream, { tollgate }: KubernetesProxyOptions) {
    this.#tollgate = tollgate;
    const authority = makeAuthority('kubernetes-fault-proxy');
    const { certificate, key } = issueCertificate(authority, {
      name: 'proxy',
      // Another name than the authority's: equal ones would make the certificate look self-signed.
      subject: { commonName: 'kubernetes' },
      usage: 'server',
      addresses: ['127.0.0.1'],
    });
    this.#certificate = authority.certificate;
    this.#upstream = upstream;
    this.#server = createServer({ cert: certificate, key, keepAliveTimeout: 90_000 });
    this.#server.on('request', (request, response) => void this.#serve(request, response));
    this.#server.on('connection', (socket: Socket) => {
      this.#connections += 1;
      const { remotePort } = socket;
      this.#sockets.set(remotePort, socket);
      socket.on('close', () => {
        this.#sockets.delete(remotePort);
        this.#halfOpen.delete(remotePort);
      });
      socket.on('error', () => undefined);
    });
    this.#server.on('tlsClientError', () => undefined);
  }

  /** The authority that clients must trust, PEM. */
  certificate(): string {
    return this.#certificate;
  }

  /** A kubeconfig (JSON is YAML) that leads through the proxy. */
  kubeconfig(): string {
    const cluster = {
      server: `https://127.0.0.1:${this.#port}`,
      'certificate-authority-data': Buffer.from(this.#certificate).toString('base64'),
    };
    return JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'proxy', cluster }],
      users: [{ name: 'proxy', user: {} }],
      contexts: [{ name: 'proxy', context: { cluster: 'proxy', user: 'proxy' } }],
      'current-context': 'proxy',
    });
  }

  /** Puts a rule into force, behind the older ones: the first that strikes decides. */
  inject(rule: FaultRule): ActiveRule {
    const state: RuleState = { rule, matched: 0, hits: 0 };
    this.#rules.add(state);
    if (rule.fault.kind === 'silence-watch') this.#silenceOpenWatches(state);
    return { hits: () => state.hits, remove: () => void this.#rules.delete(state) };
  }

  /** Takes every rule out of force. */
  removeRules(): void {
    this.#rules.clear();
  }

  /** How many watches the server has accepted and nobody has ended yet. */
  openWatches(match: RequestMatch = {}): number {
    return [...this.#watches].filter(({ request }) => matchesRequest(match, request)).length;
  }

  /** Resets every open connection, idle or not. */
  resetConnections(): void {
    for (const socket of this.#sockets.values()) socket.resetAndDestroy();
  }

  /** Nothing comes through the open connections any more, in either direction, and nobody says so; new ones work. */
  freezeConnections(): void {
    for (const port of this.#sockets.keys()) this.#halfOpen.add(port);
    for (const watch of this.#watches) watch.isSilent = true;
  }

  /** How many connections clients have opened so far. */
  connections(): number {
    return this.#connections;
  }

  /** The requests that have come in so far, in order. */
  requests(match: RequestMatch = {}): KubernetesRequest[] {
    return this.#requests.filter((request) => matchesRequest(match, request));
  }

  async stop(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const socket of this.#sockets.values()) socket.destroy();
    this.#upstream.agent.destroy();
    await closed;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const asked = parseKubernetesRequest(request.method ?? 'GET', request.url ?? '/');
    if (this.#halfOpen.has(request.socket.remotePort)) return;
    this.#requests.push(asked);
    const fault = this.#strike(asked);
    const passes = this.#passageOf(asked);
    // A client that went away is no failure of the proxy.
    response.on('error', () => undefined);
    try {
      const body = await buffer(request);
      if (fault?.kind === 'delay') await delay(fault.delayMs, undefined, { ref: false });
      if (passes('before')) await this.#answer({ request, response, asked, body, passes }, fault);
    } catch {
      this.#reset(request);
    }
  }

  async #answer(exchange: Exchange, fault: Fault | undefined): Promise<void> {
    const { request, response } = exchange;
    switch (fault?.kind) {
      case 'refuse':
        refuse(response, fault);
        return;
      case 'reset':
        this.#reset(request);
        return;
      case 'blackhole':
        return;
      case 'gone-in-stream':
        sendGoneEvent(response);
        return;
      case 'drop-after-commit':
        await buffer(await this.#forward(exchange));
        this.#reset(request);
        return;
      case 'error500-after-commit':
        await buffer(await this.#forward(exchange));
        refuse(response, { status: 500, reason: 'InternalError' });
        return;
      case 'stale-list':
        await this.#pass(exchange, asOf(request.url, fault.resourceVersion));
        return;
      case 'silence-watch':
        await this.#stream(exchange, true);
        return;
      case 'delay':
      case undefined:
        await (exchange.asked.verb === 'watch' ? this.#stream(exchange, false) : this.#pass(exchange));
    }
  }

  async #forward({ request, body }: Exchange, path = request.url): Promise<IncomingMessage> {
    const { host: _, connection: __, ...headers } = request.headers;
    const upstream = httpsRequest({ ...this.#upstream, method: request.method, path, headers });
    return await new Promise((resolve, reject) => {
      upstream.on('response', resolve);
      upstream.on('error', reject);
      upstream.end(body);
    });
  }

  /** A call: its answer is passed on whole. */
  async #pass(exchange: Exchange, path?: string): Promise<void> {
    const { request, response, passes } = exchange;
    const answer = await this.#forward(exchange, path);
    const body = await buffer(answer);
    if (!passes('committed') || this.#halfOpen.has(request.socket.remotePort)) return;
    const { 'transfer-encoding': _, connection: __, ...headers } = answer.headers;
    response.writeHead(answer.statusCode ?? 500, headers);
    response.end(body, () => passes('answered'));
  }

  /** A watch: passed on as it comes. */
  async #stream(exchange: Exchange, isSilent: boolean): Promise<void> {
    const { response, asked } = exchange;
    const answer = await this.#forward(exchange);
    const { 'transfer-encoding': _, connection: __, ...headers } = answer.headers;
    response.writeHead(answer.statusCode ?? 500, headers);
    response.flushHeaders();
    const watch: OpenWatch = { request: asked, response, isSilent };
    this.#watches.add(watch);
    response.on('close', () => {
      this.#watches.delete(watch);
      answer.destroy();
    });
    for await (const chunk of answer) {
      // What silence has swallowed never comes, nor does the end: the stream is dead, only nobody says so.
      if (!watch.isSilent && !response.write(chunk))
        await Promise.race([once(response, 'drain'), once(response, 'close')]);
    }
    if (!watch.isSilent) response.end();
  }

  #passageOf(asked: KubernetesRequest): Passage {
    if (this.#tollgate === undefined || asked.verb === 'watch') return () => true;
    return this.#tollgate.open(kubernetesCallKind(asked));
  }

  /** Counts the request on every matching rule and returns the fault of the first that strikes. */
  #strike(asked: KubernetesRequest): Fault | undefined {
    let struck: RuleState | undefined;
    for (const state of this.#rules) {
      if (!matchesRequest(state.rule.match, asked)) continue;
      state.matched += 1;
      if (state.rule.nth === undefined || state.rule.nth === state.matched) struck ??= state;
    }
    if (struck === undefined) return undefined;
    struck.hits += 1;
    return struck.rule.fault;
  }

  /** RST rather than FIN, so that the client sees a reset and not an end. */
  #reset(request: IncomingMessage): void {
    const socket = this.#sockets.get(request.socket.remotePort);
    if (socket === undefined) request.socket.destroy();
    else socket.resetAndDestroy();
  }

  #silenceOpenWatches(state: RuleState): void {
    for (const watch of this.#watches) {
      if (state.rule.nth !== undefined || !matchesRequest(state.rule.match, watch.request)) continue;
      watch.isSilent = true;
      state.hits += 1;
    }
  }
}

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly asked: KubernetesRequest;
  readonly body: Buffer;
  readonly passes: Passage;
}

/** The same list as it was at an older resourceVersion. */
function asOf(url: string | undefined, resourceVersion: string): string {
  const { pathname, searchParams } = new URL(url ?? '/', 'https://proxy');
  searchParams.set('resourceVersion', resourceVersion);
  searchParams.set('resourceVersionMatch', 'Exact');
  return `${pathname}?${searchParams.toString()}`;
}
