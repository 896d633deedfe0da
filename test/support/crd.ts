import { fileURLToPath } from 'node:url';
import type { Kubectl } from '../cluster/kubectl.ts';
import { eventually } from './eventually.ts';

const CRD = fileURLToPath(new URL('../../crds/batchqueues.yaml', import.meta.url));

/** Installs the CRD, as often as one likes; returns when BatchQueues are served. */
export async function installCrd(kubectl: Kubectl): Promise<void> {
  await kubectl.run('apply', '--server-side', '--force-conflicts', '-f', CRD);
  await eventually(
    () => kubectl.attempt(['get', '--raw', '/apis/batchqueue.io/v1alpha1/batchqueues']),
    ({ ok }) => ok,
    { what: 'the BatchQueue API' },
  );
}
