import { startCluster } from '../cluster/cluster.ts';
import { progressOf, share } from './shared-cluster.ts';

/** Starts the control plane that the integration tests share; jest calls it only when one of them runs. */
export default async function setUpIntegration(): Promise<void> {
  await share(
    'BATCHQUEUE_INTEGRATION_CLUSTER',
    () => startCluster({ size: 'control-plane', onProgress: progressOf('integration') }),
    ({ kubeconfigPath, kubectlPath }) => ({ kubeconfigPath, kubectlPath }),
  );
}
