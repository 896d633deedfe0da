/**
 * The clusters that a test run shares. The jest setups start them, one per project that has tests to run, and hand
 * them over through the environment, which is all that reaches jest's workers.
 *
 * Tests use namespaces of their own and call these functions in hooks or tests, not while a file loads.
 */
import path from 'node:path';
import { z } from 'zod';
import { importArchive } from '../cluster/containerd.ts';

const integrationSchema = z
  .object({ name: z.string(), kubeconfigPath: z.string(), kubectlPath: z.string() })
  .readonly();

const nodeSchema = z
  .object({
    name: z.string(),
    directory: z.string(),
    kubeconfigPath: z.string(),
    kubectlPath: z.string(),
    /** Address at which pods reach a listener of the test; bind it there or to 0.0.0.0. */
    hostAddress: z.string(),
    nodeAddress: z.string(),
    /** Image of operator/main.ts, loaded. */
    operatorImage: z.string(),
    /** Image of worker/main.ts, loaded. */
    workerImage: z.string(),
  })
  .readonly();

const failureSchema = z.object({ failure: z.string() });

/** A control plane: API server and controllers, but nothing that runs pods. */
export type IntegrationCluster = z.infer<typeof integrationSchema>;

/** A control plane and one node. */
export type NodeCluster = z.infer<typeof nodeSchema>;

export type ClusterVariable = 'BATCHQUEUE_INTEGRATION_CLUSTER' | 'BATCHQUEUE_NODE_CLUSTER';

/** The control plane of this run. Throws, with the reason, when it could not be started. */
export function integrationCluster(): IntegrationCluster {
  return integrationSchema.parse(received('BATCHQUEUE_INTEGRATION_CLUSTER'));
}

/** The node cluster of this run. Throws, with the reason, when it could not be started. */
export function nodeCluster(): NodeCluster {
  return nodeSchema.parse(received('BATCHQUEUE_NODE_CLUSTER'));
}

/** Directory of the cluster whose end is the end of what a test starts: the control plane's, or else the node's. */
export function clusterDirectory(): string {
  if (process.env['BATCHQUEUE_INTEGRATION_CLUSTER'] === undefined) return nodeCluster().directory;
  return path.dirname(integrationCluster().kubeconfigPath);
}

/** Loads an image archive (see `buildImage`) into the node; pods can use its tag when this returns. */
export async function importImage(archivePath: string): Promise<void> {
  await importArchive(nodeCluster().directory, archivePath);
}

/** For the setups: what the tests of the project will get. */
export function handOver(variable: ClusterVariable, value: object): void {
  process.env[variable] = JSON.stringify(value);
}

/** For the teardowns: which cluster the setup started; undefined when it started none. */
export function handedOverName(variable: ClusterVariable): string | undefined {
  const value = z.object({ name: z.string() }).safeParse(JSON.parse(process.env[variable] ?? '{}'));
  return value.success ? value.data.name : undefined;
}

function received(variable: ClusterVariable): unknown {
  const text = process.env[variable];
  if (text === undefined)
    throw new Error(`${variable} is not set: this test is not in the project that starts it`);
  const value: unknown = JSON.parse(text);
  const failed = failureSchema.safeParse(value);
  if (failed.success) throw new Error(`the shared cluster could not be started: ${failed.data.failure}`);
  return value;
}
