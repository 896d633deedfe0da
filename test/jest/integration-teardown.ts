import { unshare } from './shared-cluster.ts';

/** Removes what the integration tests shared. */
export default async function tearDownIntegration(): Promise<void> {
  await unshare('BATCHQUEUE_INTEGRATION_CLUSTER');
}
