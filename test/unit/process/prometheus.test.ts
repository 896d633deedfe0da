import { beforeEach, describe, expect, test } from '@jest/globals';
import type { QueueCount } from '../../../operator/ports.ts';
import { Prometheus } from '../../../operator/process/prometheus.ts';

const ORDERS = { namespace: 'shop', name: 'orders' };
const NIGHTLY = { namespace: 'shop', name: 'nightly' };

let metrics: Prometheus;
let isLeading: boolean;

beforeEach(() => {
  isLeading = false;
  metrics = new Prometheus({
    leaseName: 'operator',
    isLeading: () => isLeading,
    lag: () => ({ p50Ms: 1, p99Ms: 20, maxMs: 1_500 }),
  });
});

/** The page's lines of our own metrics about BatchQueues. */
async function series(): Promise<string[]> {
  return (await metrics.page())
    .split('\n')
    .filter((line) => line.startsWith('batchqueue_') && line.includes('shop'));
}

describe('the metrics page', () => {
  test('has every count of a BatchQueue at zero as soon as it is known', async () => {
    metrics.knowQueue(ORDERS);
    expect(await series()).toEqual([
      'batchqueue_messages_received_total{namespace="shop",batchqueue="orders"} 0',
      'batchqueue_messages_deleted_total{namespace="shop",batchqueue="orders"} 0',
      'batchqueue_messages_released_total{namespace="shop",batchqueue="orders"} 0',
      'batchqueue_messages_rejected_total{namespace="shop",batchqueue="orders"} 0',
      'batchqueue_duplicate_deliveries_total{namespace="shop",batchqueue="orders"} 0',
      'batchqueue_lease_lapses_total{namespace="shop",batchqueue="orders"} 0',
      'batchqueue_jobs_started_total{namespace="shop",batchqueue="orders"} 0',
      'batchqueue_jobs_finished_total{namespace="shop",batchqueue="orders",result="succeeded"} 0',
      'batchqueue_jobs_finished_total{namespace="shop",batchqueue="orders",result="failed"} 0',
      'batchqueue_jobs_finished_total{namespace="shop",batchqueue="orders",result="deleted"} 0',
    ]);
  });

  test.each<[QueueCount, string]>([
    ['messagesReceived', 'batchqueue_messages_received_total{'],
    ['messagesDeleted', 'batchqueue_messages_deleted_total{'],
    ['messagesReleased', 'batchqueue_messages_released_total{'],
    ['messagesRejected', 'batchqueue_messages_rejected_total{'],
    ['messagesAdopted', 'batchqueue_duplicate_deliveries_total{'],
    ['leaseLapses', 'batchqueue_lease_lapses_total{'],
    ['jobsCreated', 'batchqueue_jobs_started_total{'],
    [
      'jobsSucceeded',
      'batchqueue_jobs_finished_total{namespace="shop",batchqueue="orders",result="succeeded"',
    ],
    ['jobsFailed', 'batchqueue_jobs_finished_total{namespace="shop",batchqueue="orders",result="failed"'],
    ['jobsDeleted', 'batchqueue_jobs_finished_total{namespace="shop",batchqueue="orders",result="deleted"'],
  ])('counts %s as %s, and nothing else with it', async (what, start) => {
    metrics.count(ORDERS, what);
    metrics.count(ORDERS, what, 2);
    const counted = (await series()).filter((line) => !line.endsWith(' 0'));
    expect(counted).toHaveLength(1);
    expect(counted[0]?.startsWith(start)).toBe(true);
    expect(counted[0]?.endsWith(' 3')).toBe(true);
  });

  test('keeps a count when a BatchQueue is made known again', async () => {
    metrics.count(ORDERS, 'jobsCreated', 5);
    metrics.knowQueue(ORDERS);
    expect(await series()).toContain('batchqueue_jobs_started_total{namespace="shop",batchqueue="orders"} 5');
  });

  test('forgets every series of one BatchQueue, and of no other', async () => {
    metrics.count(ORDERS, 'jobsFailed');
    metrics.count(NIGHTLY, 'jobsFailed');
    metrics.forgetQueue(ORDERS);
    metrics.forgetQueue(ORDERS);
    const left = await series();
    expect(left).toHaveLength(10);
    expect(left.filter((line) => line.includes('orders'))).toEqual([]);
    metrics.knowQueue(ORDERS);
    expect((await series()).filter((line) => line.includes('orders') && !line.endsWith(' 0'))).toEqual([]);
  });

  test('tells who leads, how late the event loop is, and how the process is', async () => {
    expect(await metrics.page()).toContain('leader_election_master_status{name="operator"} 0');
    isLeading = true;
    const page = await metrics.page();
    expect(page).toContain('leader_election_master_status{name="operator"} 1');
    expect(page).toContain('batchqueue_eventloop_lag_seconds{quantile="0.99"} 0.02');
    expect(page).toContain('batchqueue_eventloop_lag_seconds{quantile="1"} 1.5');
    expect(page).toMatch(/^process_resident_memory_bytes \d+$/m);
    expect(metrics.contentType()).toMatch(/^text\/plain/);
  });
});
