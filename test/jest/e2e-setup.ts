import { startCluster } from '../cluster/cluster.ts';
import { buildImage } from '../cluster/images.ts';
import { OPERATOR_IMAGE, WORKER_IMAGE } from '../cluster/product-images.ts';
import { thisMachine, unsupportedReason } from '../cluster/requirements.ts';
import { progressOf, share } from './shared-cluster.ts';

/**
 * Starts the node that the end-to-end tests share, with the images of operator and worker on it; jest calls it only
 * when one of them runs. Where no node can run it does nothing: the tests are skipped.
 */
export default async function setUpE2e(): Promise<void> {
  if (unsupportedReason('node', thisMachine()) !== undefined) return;
  const onProgress = progressOf('e2e');
  await share(
    'BATCHQUEUE_NODE_CLUSTER',
    async () => {
      const products = [OPERATOR_IMAGE, WORKER_IMAGE];
      const images = await Promise.all(products.map((image) => buildImage({ ...image, onProgress })));
      return startCluster({ size: 'node', images, onProgress });
    },
    ({ directory, kubeconfigPath, kubectlPath, hostAddress, nodeAddress }) => ({
      directory,
      kubeconfigPath,
      kubectlPath,
      hostAddress,
      nodeAddress,
      operatorImage: OPERATOR_IMAGE.name,
      workerImage: WORKER_IMAGE.name,
    }),
  );
}
