import { unshare } from './shared-cluster.ts';

/** Removes what the end-to-end tests shared. */
export default async function tearDownE2e(): Promise<void> {
  await unshare('BATCHQUEUE_NODE_CLUSTER');
}
