import { chown, mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Cluster, startCluster } from '../../test/cluster/cluster.ts';
import { buildImage, NONROOT_ID } from '../../test/cluster/images.ts';
import { type Kubectl, kubectlFor } from '../../test/cluster/kubectl.ts';
import { OPERATOR_IMAGE, WORKER_IMAGE } from '../../test/cluster/product-images.ts';
import { waitFor } from '../../test/cluster/wait.ts';
import {
  EMULATOR_CREDENTIALS,
  EMULATOR_REGION,
  type SqsEmulator,
  startSqsEmulator,
} from '../../test/support/sqs-emulator.ts';

const OPERATOR_NAMESPACE = 'batchqueue-system';
const EMULATOR_PORT = 4566;

const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url));

/** A cluster to install into, SQS, and the volume behind `efs-claim`. */
export interface Workplace {
  readonly kubectl: Kubectl;
  readonly emulator: SqsEmulator;
  /** A directory of this machine. */
  readonly volume: string;
}

/** Everything the demo runs in. */
export interface Environment extends Workplace {
  readonly cluster: Cluster;
  /** Ends what was started; the volume stays, for a look at the results. */
  readonly stop: () => Promise<void>;
}

type Progress = (line: string) => void;

/**
 * Starts a Kubernetes node, an SQS emulator that its pods can reach, and the volume behind `efs-claim`; builds and loads
 * the two images. Rejects with what is missing when this machine cannot run a node; nothing is left then.
 */
export async function startEnvironment(onProgress: Progress, signal: AbortSignal): Promise<Environment> {
  const images = await Promise.all([
    buildImage({ ...OPERATOR_IMAGE, onProgress }),
    buildImage({ ...WORKER_IMAGE, onProgress }),
  ]);
  const cluster = await startCluster({ size: 'node', images, onProgress, signal });
  try {
    const emulator = await startEmulator(cluster.hostAddress);
    onProgress(`SQS emulator listens on ${emulator.endpoint}`);
    return {
      cluster,
      emulator,
      kubectl: kubectlFor(cluster),
      volume: await makeVolume(cluster.name),
      stop: async () => {
        await emulator.stop();
        await cluster.stop();
      },
    };
  } catch (error) {
    await cluster.stop();
    throw error;
  }
}

/**
 * Installs the CRD and the operator, in the cluster and from its image, as a user would; waits until it is ready.
 * `namespaces`: those that it works in, comma-separated; default all.
 */
export async function installOperator({ kubectl, emulator }: Workplace, namespaces?: string): Promise<void> {
  await kubectl.run('apply', '-f', path.join(REPOSITORY, 'crds/batchqueues.yaml'));
  // Just after its creation a CRD has no conditions, which `kubectl wait` takes for an error.
  await waitFor(() => kubectl.run('get', '--raw', '/apis/batchqueue.io/v1alpha1/batchqueues'), {
    what: 'serving of the BatchQueue API',
    timeoutMs: 30_000,
  });
  await kubectl.run('apply', '-k', path.join(REPOSITORY, 'deploy/operator'));
  // What an installer would put into an overlay: where SQS is, and credentials for it.
  const { accessKeyId, secretAccessKey } = EMULATOR_CREDENTIALS;
  await kubectl.apply(`
apiVersion: v1
kind: Secret
metadata: { name: batchqueue-aws, namespace: ${OPERATOR_NAMESPACE} }
stringData: { AWS_ACCESS_KEY_ID: ${accessKeyId}, AWS_SECRET_ACCESS_KEY: ${secretAccessKey} }
`);
  const inNamespace = ['-n', OPERATOR_NAMESPACE];
  const deployment = 'deployment/batchqueue-operator';
  const settings = [
    `BATCHQUEUE_SQS_ENDPOINT=${emulator.endpoint}`,
    `AWS_REGION=${EMULATOR_REGION}`,
    // The emulator knows no roles: every queue is read with the operator's own credentials.
    'BATCHQUEUE_OPERATOR_IDENTITY_NAMESPACES=*',
    'BATCHQUEUE_OPERATOR_IDENTITY_QUEUES=arn:*',
    ...(namespaces === undefined ? [] : [`BATCHQUEUE_NAMESPACES=${namespaces}`]),
  ];
  await kubectl.run(...inNamespace, 'set', 'image', deployment, `operator=${OPERATOR_IMAGE.name}`);
  await kubectl.run(...inNamespace, 'set', 'env', deployment, ...settings);
  await kubectl.run(...inNamespace, 'rollout', 'status', deployment, '--timeout=90s');
}

/** Applies a manifest of this folder with its `${NAME}` placeholders filled in. */
export async function applyTemplate(
  { kubectl }: Workplace,
  file: string,
  values: Readonly<Record<string, string>>,
): Promise<void> {
  const text = await readFile(new URL(file, import.meta.url), 'utf8');
  await kubectl.apply(
    text.replace(/\$\{([A-Z_]+)\}/g, (placeholder, name: string) => values[name] ?? placeholder),
  );
}

/** The usual port if it is free, so that the printed commands look familiar. */
export async function startEmulator(address: string): Promise<SqsEmulator> {
  return startSqsEmulator({ address, port: EMULATOR_PORT }).catch(() => startSqsEmulator({ address }));
}

/** A fresh directory that the worker, which is not root, may write to. */
export async function makeVolume(clusterName: string): Promise<string> {
  const stamp = new Date().toISOString().slice(0, 19).replace(/[:T]/g, '-');
  const volume = path.join(REPOSITORY, 'dist', 'demo', `${stamp}-${clusterName}`);
  for (const directory of [volume, path.join(volume, 'in'), path.join(volume, 'out')]) {
    await mkdir(directory, { recursive: true });
    await chown(directory, NONROOT_ID, NONROOT_ID);
  }
  return volume;
}
