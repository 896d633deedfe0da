import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { Metrics, QueueCount, QueueName } from '../ports.ts';
import type { Lag } from './event-loop-lag.ts';

const QUEUE_LABELS = ['namespace', 'batchqueue'] as const;
const RESULTS = { jobsSucceeded: 'succeeded', jobsFailed: 'failed', jobsDeleted: 'deleted' } as const;

export interface PrometheusOptions {
  /** Of the Lease. */
  readonly leaseName: string;
  readonly isLeading: () => boolean;
  readonly lag: () => Lag;
}

/** The metrics page, and the counters behind it. */
export class Prometheus implements Metrics {
  readonly #registry = new Registry();
  readonly #known = new Map<string, QueueName>();
  readonly #plain: ReadonlyMap<QueueCount, Counter<(typeof QUEUE_LABELS)[number]>>;
  readonly #finished: Counter<(typeof QUEUE_LABELS)[number] | 'result'>;

  constructor(options: PrometheusOptions) {
    const registers = [this.#registry];
    const counter = (name: string, help: string) =>
      new Counter({ name, help, labelNames: QUEUE_LABELS, registers });
    this.#plain = new Map([
      ['messagesReceived', counter('batchqueue_messages_received_total', 'Messages received from SQS.')],
      ['messagesDeleted', counter('batchqueue_messages_deleted_total', 'Messages deleted after success.')],
      ['messagesReleased', counter('batchqueue_messages_released_total', 'Messages given back to SQS.')],
      [
        'messagesRejected',
        counter('batchqueue_messages_rejected_total', 'Messages that their worker says can never succeed.'),
      ],
      [
        'messagesAdopted',
        counter(
          'batchqueue_duplicate_deliveries_total',
          'Messages delivered again while their Job was there.',
        ),
      ],
      ['leaseLapses', counter('batchqueue_lease_lapses_total', 'Leases that ended although they were kept.')],
      ['jobsCreated', counter('batchqueue_jobs_started_total', 'Jobs created.')],
    ] satisfies [QueueCount, unknown][]);
    this.#finished = new Counter({
      name: 'batchqueue_jobs_finished_total',
      help: 'Jobs settled, by how they ended.',
      labelNames: [...QUEUE_LABELS, 'result'],
      registers,
    });
    addProcessMetrics(this.#registry, options);
  }

  knowQueue(queue: QueueName): void {
    const key = `${queue.namespace}/${queue.name}`;
    if (this.#known.has(key)) return;
    this.#known.set(key, queue);
    for (const counter of this.#plain.values()) counter.inc(labelsOf(queue), 0);
    for (const result of Object.values(RESULTS)) this.#finished.inc({ ...labelsOf(queue), result }, 0);
  }

  forgetQueue(queue: QueueName): void {
    if (!this.#known.delete(`${queue.namespace}/${queue.name}`)) return;
    for (const counter of this.#plain.values()) counter.remove(labelsOf(queue));
    for (const result of Object.values(RESULTS)) this.#finished.remove({ ...labelsOf(queue), result });
  }

  count(queue: QueueName, what: QueueCount, by = 1): void {
    this.knowQueue(queue);
    if (what === 'jobsSucceeded' || what === 'jobsFailed' || what === 'jobsDeleted')
      this.#finished.inc({ ...labelsOf(queue), result: RESULTS[what] }, by);
    else this.#plain.get(what)?.inc(labelsOf(queue), by);
  }

  /** The page in Prometheus' text format. */
  page(): Promise<string> {
    return this.#registry.metrics();
  }

  contentType(): string {
    return this.#registry.contentType;
  }
}

function labelsOf({ namespace, name }: QueueName) {
  return { namespace, batchqueue: name };
}

function addProcessMetrics(registry: Registry, { leaseName, isLeading, lag }: PrometheusOptions): void {
  collectDefaultMetrics({ register: registry });
  // Named as in controller-runtime, so that existing dashboards work.
  const gauges = [
    new Gauge({
      name: 'leader_election_master_status',
      help: '1 while this process leads.',
      labelNames: ['name'],
      registers: [],
      collect() {
        this.set({ name: leaseName }, isLeading() ? 1 : 0);
      },
    }),
    new Gauge({
      name: 'batchqueue_eventloop_lag_seconds',
      help: 'How late the event loop was in the last seconds.',
      labelNames: ['quantile'],
      registers: [],
      collect() {
        const { p50Ms, p99Ms, maxMs } = lag();
        this.set({ quantile: '0.5' }, p50Ms / 1_000);
        this.set({ quantile: '0.99' }, p99Ms / 1_000);
        this.set({ quantile: '1' }, maxMs / 1_000);
      },
    }),
  ];
  for (const gauge of gauges) registry.registerMetric(gauge);
}
