import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Cluster } from '../cluster/cluster.ts';
import { startCluster } from '../cluster/cluster.ts';
import type { MachineState } from '../cluster/leftovers.ts';
import { leftoversOf, machineState } from '../cluster/leftovers.ts';
import { run } from '../cluster/run.ts';
import { waitFor } from '../cluster/wait.ts';
import { integrationCluster } from '../jest/clusters.ts';
import { slotOf, startLauncher } from '../support/launcher.ts';

/** What the project promises for a launcher that was killed. */
const GONE_WITHIN_MS = 10_000;

function kubectl(
  { kubectlPath, kubeconfigPath }: Pick<Cluster, 'kubectlPath' | 'kubeconfigPath'>,
  ...args: string[]
) {
  return run(kubectlPath, ['--kubeconfig', kubeconfigPath, ...args]);
}

describe('the shared control plane', () => {
  test('tells its version, which is that of its kubectl', async () => {
    const versions: unknown = JSON.parse(await kubectl(integrationCluster(), 'version', '-o', 'json'));
    const version = { gitVersion: expect.stringMatching(/^v1\.\d+\.\d+$/) };
    expect(versions).toMatchObject({ clientVersion: version, serverVersion: version });
  });

  test('accepts a Job, and its controller makes the pod', async () => {
    const namespace = `job-${createHash('sha256').update(String(process.hrtime.bigint())).digest('hex').slice(0, 8)}`;
    await kubectl(integrationCluster(), 'create', 'namespace', namespace);
    const account = () => kubectl(integrationCluster(), '-n', namespace, 'get', 'serviceaccount', 'default');
    await waitFor(account, { what: 'default ServiceAccount', timeoutMs: 20_000 });
    await kubectl(integrationCluster(), '-n', namespace, 'create', 'job', 'one', '--image=localhost/none:1');
    const pods = () => kubectl(integrationCluster(), '-n', namespace, 'get', 'pods', '-o', 'name');
    const pod = await waitFor(async () => (await pods()).trim() || undefined, {
      what: 'a pod',
      timeoutMs: 20_000,
    });
    expect(pod).toMatch(/^pod\/one-/);
    await kubectl(integrationCluster(), 'delete', 'namespace', namespace, '--wait=false');
  });
});

describe('control planes of their own', () => {
  let before: MachineState;
  const started: Cluster[] = [];

  beforeEach(async () => {
    before = await machineState();
  });

  afterEach(async () => {
    await Promise.all(started.splice(0).map((cluster) => cluster.stop()));
  });

  async function start(): Promise<Cluster> {
    const cluster = await startCluster({ size: 'control-plane' });
    started.push(cluster);
    return cluster;
  }

  test('two run at once without seeing each other, and stopping one leaves the other', async () => {
    const [first, second] = await Promise.all([start(), start()]);
    expect(second.name).not.toBe(first.name);
    await kubectl(first, 'create', 'namespace', 'only-in-first');
    expect(await kubectl(second, 'get', 'namespaces', '-o', 'name')).not.toContain('only-in-first');
    await first.stop();
    expect(await leftoversOf({ slot: slotOf(first.name), directory: first.directory }, before)).toEqual([]);
    expect(await kubectl(second, 'get', '--raw', '/readyz')).toBe('ok');
    await second.stop();
    expect(await leftoversOf({ slot: slotOf(second.name), directory: second.directory }, before)).toEqual([]);
  });

  test('nothing is left within ten seconds after its launcher is killed', async () => {
    const launcher = await startLauncher('control-plane');
    expect(await kubectl(launcher, 'get', '--raw', '/readyz')).toBe('ok');
    const suspect = { slot: slotOf(launcher.name), directory: path.dirname(launcher.kubeconfigPath) };
    expect(await leftoversOf(suspect, before)).not.toEqual([]);
    launcher.kill('SIGKILL');
    const clean = async () => (await leftoversOf(suspect, before)).length === 0;
    await expect(waitFor(clean, { what: 'removal', timeoutMs: GONE_WITHIN_MS })).resolves.toBe(true);
  });

  test('giving up half-way removes what was made', async () => {
    const abort = new AbortController();
    const lines: string[] = [];
    const onProgress = (line: string) => {
      lines.push(line);
      abort.abort(new Error('given up'));
    };
    const starting = startCluster({ size: 'control-plane', onProgress, signal: abort.signal });
    await expect(starting).rejects.toThrow('given up');
    expect(lines).toContain('API server ready');
  });

  test('runs no images, and says so', async () => {
    const cluster = await start();
    await expect(cluster.importImage('/nowhere.tar')).rejects.toThrow('runs no images');
    expect(existsSync(cluster.kubeconfigPath)).toBe(true);
  });
});
