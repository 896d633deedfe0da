import { describe, expect, test } from '@jest/globals';
import { run } from '../cluster/run.ts';
import { integrationCluster } from '../jest/clusters.ts';

async function kubectl(...args: string[]): Promise<string> {
  const { kubectlPath, kubeconfigPath } = integrationCluster();
  return run(kubectlPath, ['--kubeconfig', kubeconfigPath, ...args]);
}

describe('the shared control plane', () => {
  test('tells its version and that of its kubectl', async () => {
    const versions = JSON.parse(await kubectl('version', '-o', 'json')) as Record<
      string,
      { gitVersion: string }
    >;
    expect(versions.serverVersion?.gitVersion).toBe(versions.clientVersion?.gitVersion);
  });
});
