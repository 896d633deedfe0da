import { once } from 'node:events';
import {
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { Socket } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { z } from 'zod';
import type { Passage, Tollgate } from './call-sequence.ts';
import { refuseSqs, type SqsFault } from './sqs-faults.ts';
import {
  entriesOf,
  matchesSqsRequest,
  parseSqsRequest,
  type SqsRequest,
  type SqsRequestMatch,
  sqsCallKind,
} from './sqs-requests.ts';

export interface SqsProxyOptions {
  /** Asked at each place of each call. */
  readonly tollgate?: Tollgate;
  /**
   * Long polls are made of shorter ones of this length. The emulator keeps the poll of a client that is gone and lets
   * it swallow messages, as SQS may; this bounds for how long.
   */
  readonly pollSliceSeconds?: number;
}

export interface SqsFaultRule {
  readonly match: SqsRequestMatch;
  /** Only so many of the matching requests, the first ones; undefined: every one. */
  readonly times?: number;
  readonly fault: SqsFault;
}

/** A rule in force. */
export interface ActiveSqsRule {
  /** How many requests the fault has struck. */
  readonly hits: () => number;
  readonly remove: () => void;
}

/** Where a request is held: before SQS has seen it, or when SQS has done it and the answer is on its way. */
type Stage = 'before' | 'after';

/** Holds the requests that it fits until `release`. */
export interface Hold {
  /** Resolves when the first one is held. */
  readonly reached: Promise<void>;
  /** Lets them go on, those to come too. */
  release(): void;
}

interface HoldState {
  readonly match: SqsRequestMatch;
  readonly stage: Stage;
  readonly reach: () => void;
  readonly released: Promise<void>;
}

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly asked: SqsRequest;
  readonly passes: Passage;
}

const receiptsSchema = z.object({
  Messages: z.array(z.object({ MessageId: z.string(), ReceiptHandle: z.string() })).default([]),
});
const batchAnswerSchema = z.looseObject({ Failed: z.array(z.unknown()).default([]) });

/**
 * A reverse proxy in front of SQS (or an emulator of it) that remembers what was asked, does to requests what happens to
 * them on bad days, and can hold them at two points of their way, so that a test can end a process exactly there.
 */
export class SqsProxy {
  readonly #server: Server;
  readonly #upstream: string;
  readonly #options: SqsProxyOptions;
  readonly #requests: SqsRequest[] = [];
  readonly #open = new Set<SqsRequest>();
  readonly #holds = new Set<HoldState>();
  readonly #rules = new Set<{ readonly rule: SqsFaultRule; hits: number }>();
  readonly #messageIds = new Map<string, string>();
  readonly #sockets = new Set<Socket>();
  /** Connections that nothing comes through any more, though they are open. */
  readonly #halfOpen = new WeakSet<Socket>();
  #port = 0;

  private constructor(upstream: string, options: SqsProxyOptions) {
    this.#upstream = upstream;
    this.#options = options;
    this.#server = createServer((request, response) => void this.#serve(request, response));
    this.#server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
      socket.on('error', () => undefined);
    });
  }

  /** Listens on a free port of 127.0.0.1, in front of `upstream` (a URL). */
  static async start(upstream: string, options: SqsProxyOptions = {}): Promise<SqsProxy> {
    const proxy = new SqsProxy(upstream, options);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    const address = proxy.#server.address();
    if (address !== null && typeof address === 'object') proxy.#port = address.port;
    return proxy;
  }

  endpoint(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** The requests that have come in so far, in order. */
  requests(match: SqsRequestMatch = {}): readonly SqsRequest[] {
    return this.#requests.filter((request) => matchesSqsRequest(match, request));
  }

  /** The requests that have not been answered yet: long polls, mostly. */
  open(match: SqsRequestMatch = {}): readonly SqsRequest[] {
    return [...this.#open].filter((request) => matchesSqsRequest(match, request));
  }

  /** Every receipt handle that SQS has given out through this proxy, with the id of its message. */
  receiptHandles(): ReadonlyMap<string, string> {
    return this.#messageIds;
  }

  /** Holds the requests that fit, from now on. */
  hold(match: SqsRequestMatch, stage: Stage): Hold {
    const reached = Promise.withResolvers<void>();
    const released = Promise.withResolvers<void>();
    const state: HoldState = { match, stage, reach: reached.resolve, released: released.promise };
    this.#holds.add(state);
    return {
      reached: reached.promise,
      release: () => {
        this.#holds.delete(state);
        released.resolve();
      },
    };
  }

  /** Puts a rule into force, behind the older ones: the first that strikes decides. */
  inject(rule: SqsFaultRule): ActiveSqsRule {
    const state = { rule, hits: 0 };
    this.#rules.add(state);
    return { hits: () => state.hits, remove: () => void this.#rules.delete(state) };
  }

  /** Nothing comes through the open connections any more, in either direction, and nobody says so; new ones work. */
  freezeConnections(): void {
    for (const socket of this.#sockets) this.#halfOpen.add(socket);
  }

  async stop(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    // A client that went away is no failure of the proxy.
    response.on('error', () => undefined);
    const body = await buffer(request);
    if (this.#halfOpen.has(request.socket)) return;
    const asked = parseSqsRequest(request, body);
    const passes = this.#options.tollgate?.open(sqsCallKind(asked)) ?? (() => true);
    this.#requests.push(asked);
    this.#open.add(asked);
    response.on('close', () => this.#open.delete(asked));
    try {
      if (passes('before')) await this.#answer({ request, response, asked, passes });
    } catch {
      response.destroy();
    }
  }

  async #answer(exchange: Exchange): Promise<void> {
    const { response, asked } = exchange;
    const fault = this.#strike(asked);
    if (fault?.kind === 'refuse') return refuseSqs(response, fault);
    if (fault?.kind === 'blackhole') return;
    await this.#pause(asked, 'before');
    // As at SQS, nobody is asked for messages on behalf of a caller who is gone.
    if (response.destroyed) return;
    const answer = await (fault?.kind === 'fail-entries'
      ? this.#forwardOthers(exchange, fault)
      : this.#forward(exchange, asked.body));
    if (asked.operation === 'ReceiveMessage') this.#noteReceipts(answer);
    await this.#pause(asked, 'after');
    if (exchange.passes('committed')) this.#handOver(exchange, answer, fault?.kind === 'lose-answer');
  }

  #handOver({ request, response, passes }: Exchange, answer: Answer, isLost: boolean): void {
    if (this.#halfOpen.has(request.socket)) return;
    if (isLost) {
      request.socket.resetAndDestroy();
      return;
    }
    response.writeHead(answer.status, answer.headers);
    response.end(answer.text, () => passes('answered'));
  }

  async #pause(asked: SqsRequest, stage: Stage): Promise<void> {
    for (const hold of this.#holds) {
      if (hold.stage !== stage || !matchesSqsRequest(hold.match, asked)) continue;
      hold.reach();
      await hold.released;
    }
  }

  /** The fault of the first rule that strikes. */
  #strike(asked: SqsRequest): SqsFault | undefined {
    for (const state of this.#rules) {
      const { match, times = Number.POSITIVE_INFINITY, fault } = state.rule;
      if (state.hits >= times || !matchesSqsRequest(match, asked)) continue;
      state.hits += 1;
      return fault;
    }
    return undefined;
  }

  /** One long poll may be several shorter ones. */
  async #forward(exchange: Exchange, body: SqsRequest['body']): Promise<Answer> {
    const { pollSliceSeconds } = this.#options;
    let leftSeconds = Number(body['WaitTimeSeconds'] ?? 0);
    if (pollSliceSeconds === undefined || leftSeconds <= pollSliceSeconds) return this.#ask(exchange, body);
    for (;;) {
      const answer = await this.#ask(exchange, {
        ...body,
        WaitTimeSeconds: Math.min(pollSliceSeconds, leftSeconds),
      });
      leftSeconds -= pollSliceSeconds;
      if (leftSeconds <= 0 || exchange.response.destroyed || receiptsOf(answer).length > 0) return answer;
    }
  }

  async #ask({ request, response }: Exchange, body: SqsRequest['body']): Promise<Answer> {
    const { host: _, connection: __, 'transfer-encoding': ___, ...headers } = request.headers;
    const text = Buffer.from(JSON.stringify(body));
    const upstream = httpRequest(`${this.#upstream}${request.url ?? '/'}`, {
      method: request.method,
      headers: { ...headers, 'content-length': String(text.byteLength) },
    });
    const abort = (): void => void upstream.destroy();
    response.on('close', abort);
    const answered = once(upstream, 'response');
    upstream.end(text);
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the one argument of `response`
    const [answer] = (await answered) as [IncomingMessage];
    const { connection: ____, 'transfer-encoding': _____, ...answerHeaders } = answer.headers;
    const answerText = await buffer(answer);
    response.off('close', abort);
    return { status: answer.statusCode ?? 500, headers: answerHeaders, text: answerText };
  }

  /** SQS gets the entries that do not fail, if there are any. */
  async #forwardOthers(
    exchange: Exchange,
    fault: Extract<SqsFault, { kind: 'fail-entries' }>,
  ): Promise<Answer> {
    const entries = entriesOf(exchange.asked);
    const failing = entries.filter(fault.fails);
    const others = entries.filter((entry) => !failing.includes(entry));
    const answer =
      others.length === 0
        ? { status: 200, headers: { 'content-type': 'application/x-amz-json-1.0' }, text: Buffer.from('{}') }
        : await this.#forward(exchange, { ...exchange.asked.body, Entries: others });
    const told = batchAnswerSchema.parse(JSON.parse(answer.text.toString()));
    const { code, message } = fault;
    const failed = failing.map(({ Id }) => ({ Id, Code: code, Message: message, SenderFault: true }));
    const text = Buffer.from(JSON.stringify({ ...told, Failed: [...told.Failed, ...failed] }));
    return { ...answer, headers: { ...answer.headers, 'content-length': String(text.byteLength) }, text };
  }

  #noteReceipts(answer: Answer): void {
    for (const { MessageId, ReceiptHandle } of receiptsOf(answer))
      this.#messageIds.set(ReceiptHandle, MessageId);
  }
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly text: Buffer;
}

function receiptsOf({ text }: Answer): z.infer<typeof receiptsSchema>['Messages'] {
  return receiptsSchema.safeParse(JSON.parse(text.toString())).data?.Messages ?? [];
}
