import { once } from 'node:events';
import {
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import { buffer } from 'node:stream/consumers';
import { z } from 'zod';

/** One SQS call as it came in (JSON protocol of the AWS SDKs). */
export interface SqsRequest {
  /** `ReceiveMessage`, `DeleteMessageBatch` … */
  readonly operation: string;
  /** The last part of the queue's URL; `''` for calls that name none. */
  readonly queue: string;
  /** The JSON it carries. */
  readonly body: unknown;
}

/** Picks requests; what is left out fits all. */
export interface SqsRequestMatch {
  readonly operation?: string;
  readonly queue?: string;
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

const bodySchema = z.object({ QueueUrl: z.string().optional() });
const receiptsSchema = z.object({ Messages: z.array(z.object({ ReceiptHandle: z.string() })).default([]) });

/**
 * A reverse proxy in front of SQS (or an emulator of it) that remembers what was asked and can hold requests at two
 * points of their way, so that a test can end a process exactly there.
 */
export class SqsProxy {
  readonly #server: Server;
  readonly #upstream: string;
  readonly #requests: SqsRequest[] = [];
  readonly #open = new Set<SqsRequest>();
  readonly #holds = new Set<HoldState>();
  readonly #receiptHandles = new Set<string>();
  #port = 0;

  private constructor(upstream: string) {
    this.#upstream = upstream;
    this.#server = createServer((request, response) => void this.#serve(request, response));
  }

  /** Listens on a free port of 127.0.0.1, in front of `upstream` (a URL). */
  static async start(upstream: string): Promise<SqsProxy> {
    const proxy = new SqsProxy(upstream);
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
    return this.#requests.filter((request) => fits(match, request));
  }

  /** The requests that have not been answered yet: long polls, mostly. */
  open(match: SqsRequestMatch = {}): readonly SqsRequest[] {
    return [...this.#open].filter((request) => fits(match, request));
  }

  /** Every receipt handle that SQS has given out through this proxy. */
  receiptHandles(): ReadonlySet<string> {
    return this.#receiptHandles;
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

  async stop(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    // A client that went away is no failure of the proxy.
    response.on('error', () => undefined);
    const body = await buffer(request);
    const asked = parseRequest(request, body);
    this.#requests.push(asked);
    this.#open.add(asked);
    response.on('close', () => this.#open.delete(asked));
    try {
      await this.#pause(asked, 'before');
      // As at SQS, nobody is asked for messages on behalf of a caller who is gone.
      if (response.destroyed) return;
      const { status, headers, text } = await this.#forward(request, response, body);
      if (asked.operation === 'ReceiveMessage') this.#noteReceipts(text);
      await this.#pause(asked, 'after');
      response.writeHead(status, headers);
      response.end(text);
    } catch {
      response.destroy();
    }
  }

  async #pause(asked: SqsRequest, stage: Stage): Promise<void> {
    for (const hold of this.#holds) {
      if (hold.stage !== stage || !fits(hold.match, asked)) continue;
      hold.reach();
      await hold.released;
    }
  }

  async #forward(request: IncomingMessage, response: ServerResponse, body: Buffer): Promise<Answer> {
    const { host: _, connection: __, 'transfer-encoding': ___, ...headers } = request.headers;
    const upstream = httpRequest(`${this.#upstream}${request.url ?? '/'}`, {
      method: request.method,
      headers,
    });
    response.on('close', () => upstream.destroy());
    const answered = once(upstream, 'response');
    upstream.end(body);
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the one argument of `response`
    const [answer] = (await answered) as [IncomingMessage];
    const { connection: ____, 'transfer-encoding': _____, ...answerHeaders } = answer.headers;
    return { status: answer.statusCode ?? 500, headers: answerHeaders, text: await buffer(answer) };
  }

  #noteReceipts(text: Buffer): void {
    const receipts = receiptsSchema.safeParse(JSON.parse(text.toString()));
    for (const { ReceiptHandle } of receipts.data?.Messages ?? []) this.#receiptHandles.add(ReceiptHandle);
  }
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly text: Buffer;
}

function parseRequest(request: IncomingMessage, text: Buffer): SqsRequest {
  const target = request.headers['x-amz-target'];
  const body: unknown = text.length === 0 ? {} : JSON.parse(text.toString());
  const url = bodySchema.safeParse(body).data?.QueueUrl ?? '';
  return {
    operation: typeof target === 'string' ? (target.split('.').at(-1) ?? '') : '',
    queue: url.split('/').at(-1) ?? '',
    body,
  };
}

function fits(match: SqsRequestMatch, request: SqsRequest): boolean {
  return (
    (match.operation === undefined || match.operation === request.operation) &&
    (match.queue === undefined || match.queue === request.queue)
  );
}
