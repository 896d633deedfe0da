/**
 * Loaded into the operator's process with `--import`: what it asks of the API server, and what it costs. The operator
 * knows nothing of it.
 */
import { subscribe } from 'node:diagnostics_channel';
import { Session } from 'node:inspector/promises';
import { answerQuestions } from './questions.ts';

interface Request {
  readonly method: string;
  readonly path: string;
  readonly body: unknown;
}

interface SentJob {
  readonly path: string;
  readonly body: string;
  /** When the API server's answer came, epoch ms; undefined until then, and when it was no success. */
  createdAtMs?: number;
}

const requests = new Map<string, number>();
const jobs: SentJob[] = [];
const jobOfRequest = new WeakMap<Request, SentJob>();

subscribe('undici:request:create', (message) => {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- as undici documents this channel
  const { request } = message as { readonly request: Request };
  const kind = kindOf(request.method, request.path);
  requests.set(kind, (requests.get(kind) ?? 0) + 1);
  if (kind !== 'POST jobs') return;
  const job = { path: request.path, body: String(request.body) };
  jobs.push(job);
  jobOfRequest.set(request, job);
});

subscribe('undici:request:headers', (message) => {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- as undici documents this channel
  const { request, response } = message as { request: Request; response: { statusCode: number } };
  const job = jobOfRequest.get(request);
  if (job && response.statusCode === 201) job.createdAtMs = Date.now();
});

const inspector = new Session();
inspector.connect();

answerQuestions({
  /** Requests so far, by method and resource. */
  requests: () => Object.fromEntries(requests),
  /** Every Job it has sent since the last question, byte by byte. */
  jobs: () => jobs.splice(0),
  cost: () => {
    const { user, system } = process.cpuUsage();
    return { cpuSeconds: (user + system) / 1e6, rssMiB: process.memoryUsage.rss() / 2 ** 20 };
  },
  startProfile: async () => {
    await inspector.post('Profiler.enable');
    await inspector.post('Profiler.start');
  },
  /** The CPU profile since then. */
  stopProfile: async () => (await inspector.post('Profiler.stop')).profile,
});
// The operator ends when it has nothing left to do, as without this.
process.channel?.unref();

/** `POST jobs`, `PATCH batchqueues/status`; watches and dry runs are kinds of their own. */
function kindOf(method: string, path: string): string {
  const url = new URL(path, 'https://server');
  const [, resource = '', subresource] =
    /\/(?:api|apis\/[^/]+)\/[^/]+(?:\/namespaces\/[^/]+)?\/([^/]+)(?:\/[^/]+)?(\/[^/]+)?$/.exec(
      url.pathname,
    ) ?? [];
  const query = url.searchParams;
  const verb = query.has('watch') ? 'WATCH' : query.has('dryRun') ? 'DRY-RUN' : method;
  return `${verb} ${resource}${subresource ?? ''}`;
}
