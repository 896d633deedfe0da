import { createServer, type Server, type ServerResponse } from 'node:http';
import { messageOf } from '../errors.ts';

/** One thing that health depends on: undefined when it is well, else what is wrong. */
type Check = () => string | undefined;

export interface HealthServerOptions {
  readonly address: string;
  readonly port: number;
  /** `/healthz`: false means that only a restart helps. */
  readonly live: Readonly<Record<string, Check>>;
  /** `/readyz`: false means not yet, or not any more. */
  readonly ready: Readonly<Record<string, Check>>;
  /** `/metrics`; without it there is no such page. */
  readonly metrics?: MetricsPage;
}

interface MetricsPage {
  contentType(): string;
  page(): Promise<string>;
}

/** Serves `/healthz` and `/readyz`: 200 `ok`, or 503 with one line per failing check; and `/metrics`. */
export class HealthServer {
  readonly #server: Server;
  readonly #options: HealthServerOptions;

  constructor(options: HealthServerOptions) {
    this.#options = options;
    this.#server = createServer((request, response) => {
      if (request.url === '/metrics' && options.metrics) {
        void sendPage(options.metrics, response);
        return;
      }
      const checks = { '/healthz': options.live, '/readyz': options.ready }[request.url ?? ''];
      if (!checks) {
        response.writeHead(404).end('not found\n');
        return;
      }
      const problems = failing(checks);
      response.writeHead(problems.length === 0 ? 200 : 503, { 'content-type': 'text/plain' });
      response.end(problems.length === 0 ? 'ok\n' : `${problems.join('\n')}\n`);
    });
  }

  /** Resolves with the port once it listens; rejects when the address is taken. */
  start(): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(this.#options.port, this.#options.address, () => {
        const address = this.#server.address();
        resolve(typeof address === 'object' && address ? address.port : this.#options.port);
      });
    });
  }

  stop(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }
}

async function sendPage(metrics: MetricsPage, response: ServerResponse): Promise<void> {
  try {
    const page = await metrics.page();
    response.writeHead(200, { 'content-type': metrics.contentType() }).end(page);
  } catch (error) {
    response.writeHead(500, { 'content-type': 'text/plain' }).end(`${messageOf(error)}\n`);
  }
}

function failing(checks: Readonly<Record<string, Check>>): string[] {
  return Object.entries(checks).flatMap(([name, check]) => {
    const problem = check();
    return problem === undefined ? [] : [`${name}: ${problem}`];
  });
}
