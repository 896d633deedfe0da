import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { text } from 'node:stream/consumers';

/** One request in the JSON protocol of the AWS SDKs. */
export interface ScriptedRequest {
  /** `ReceiveMessage`, `DeleteMessageBatch` … */
  readonly operation: string;
  readonly body: Readonly<Record<string, unknown>>;
}

/** `lost`: the connection is closed without an answer. An error is told as AWS tells it. */
export type ScriptedAnswer =
  | 'lost'
  | { readonly ok: object }
  | {
      readonly error: string;
      readonly message?: string;
      readonly status?: number;
      readonly queryCode?: string;
    };

/** A server that answers SQS requests with what a test wants AWS to have said. */
export class ScriptedSqs {
  readonly requests: ScriptedRequest[] = [];
  /** Asked for every request. */
  answer: (request: ScriptedRequest) => ScriptedAnswer | Promise<ScriptedAnswer> = () => ({ ok: {} });
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => {
      void (async () => {
        const target = request.headers['x-amz-target'];
        const operation = typeof target === 'string' ? (target.split('.').at(-1) ?? '') : '';
        const asked: ScriptedRequest = { operation, body: JSON.parse(await text(request)) };
        this.requests.push(asked);
        const answer = await this.answer(asked);
        if (answer === 'lost') {
          response.destroy();
          return;
        }
        response.setHeader('content-type', 'application/x-amz-json-1.0');
        if ('ok' in answer) {
          response.end(JSON.stringify(answer.ok));
          return;
        }
        const { error, message = 'text', status = 400, queryCode } = answer;
        if (queryCode !== undefined) response.setHeader('x-amzn-query-error', `${queryCode};Sender`);
        response.writeHead(status);
        response.end(JSON.stringify({ __type: `com.amazonaws.sqs#${error}`, message }));
      })();
    });
  }

  static async start(): Promise<ScriptedSqs> {
    const scripted = new ScriptedSqs();
    scripted.#server.listen(0, '127.0.0.1');
    await once(scripted.#server, 'listening');
    return scripted;
  }

  endpoint(): string {
    const address = this.#server.address();
    return address !== null && typeof address === 'object' ? `http://127.0.0.1:${address.port}` : '';
  }

  async stop(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }
}
