/** The SQS emulator as a process of its own, which counts what it is asked and can lie about how much it holds. */
import { buildApp } from 'fauxqs';
import { z } from 'zod';
import { EMULATOR_REGION } from '../../test/support/sqs-emulator.ts';
import { answerQuestions } from './questions.ts';

const SAMPLE_MS = 1_000;
const COUNTS = {
  ApproximateNumberOfMessages: 'approximateMessageCount',
  ApproximateNumberOfMessagesNotVisible: 'approximateInflightCount',
  ApproximateNumberOfMessagesDelayed: 'approximateDelayedCount',
} as const;

const requestSchema = z.looseObject({
  QueueUrl: z.string().default(''),
  Entries: z.array(z.unknown()).default([]),
});
const countsSchema = z.array(
  z.object({
    name: z.string(),
    approximateMessageCount: z.number(),
    approximateInflightCount: z.number(),
    approximateDelayedCount: z.number(),
  }),
);
const attributesSchema = z.looseObject({ Attributes: z.record(z.string(), z.string()).optional() });

type Counts = z.output<typeof countsSchema>[number];

/** Requests by queue and operation; deleted messages are counted one by one. */
const requests = new Map<string, Record<string, number>>();
const samples: { readonly atMs: number; readonly queues: ReadonlyMap<string, Counts> }[] = [];
let lateMs = 0;

const app = buildApp({ logger: false, defaultRegion: EMULATOR_REGION });

app.addHook('preHandler', (request, _reply, done) => {
  const { QueueUrl, Entries } = requestSchema.parse(request.body ?? {});
  const operation = operationOf(request.headers['x-amz-target']);
  count(nameOf(QueueUrl), operation, 1);
  if (operation === 'DeleteMessageBatch') count(nameOf(QueueUrl), 'deleted', Entries.length);
  done();
});

app.addHook('onSend', (request, _reply, payload, done) => {
  const isRead = operationOf(request.headers['x-amz-target']) === 'GetQueueAttributes';
  const { QueueUrl } = requestSchema.parse(request.body ?? {});
  done(null, isRead && lateMs > 0 ? withLateCounts(String(payload), nameOf(QueueUrl)) : payload);
});

setInterval(() => void sample(), SAMPLE_MS);

await app.listen({ host: '127.0.0.1', port: 0 });
const address = app.server.address();
const port = typeof address === 'object' && address !== null ? address.port : 0;

answerQuestions({
  endpoint: () => `http://127.0.0.1:${port}`,
  /** From now on counts are those of this many milliseconds ago; 0: of now. */
  late: (ms) => {
    lateMs = z.number().parse(ms);
  },
  /** Requests so far: by queue (`''` for those about none), by operation. */
  requests: () => Object.fromEntries(requests),
});

function count(queue: string, operation: string, by: number): void {
  const counts = requests.get(queue) ?? {};
  counts[operation] = (counts[operation] ?? 0) + by;
  requests.set(queue, counts);
}

async function sample(): Promise<void> {
  if (lateMs === 0) return;
  const answer = await app.inject({ method: 'GET', url: '/_fauxqs/queues' });
  const queues = countsSchema.parse(JSON.parse(answer.body));
  samples.push({ atMs: Date.now(), queues: new Map(queues.map((queue) => [queue.name, queue])) });
}

/** Before there were samples the queue was empty. */
function withLateCounts(payload: string, queue: string): string {
  const answer = attributesSchema.parse(JSON.parse(payload));
  const then = samples.findLast(({ atMs }) => atMs <= Date.now() - lateMs)?.queues.get(queue);
  for (const [attribute, field] of Object.entries(COUNTS))
    if (answer.Attributes?.[attribute] !== undefined)
      answer.Attributes[attribute] = String(then?.[field] ?? 0);
  return JSON.stringify(answer);
}

function operationOf(target: string | readonly string[] | undefined): string {
  return typeof target === 'string' ? (target.split('.').at(-1) ?? '') : '';
}

function nameOf(queueUrl: string): string {
  return queueUrl.split('/').at(-1) ?? '';
}
