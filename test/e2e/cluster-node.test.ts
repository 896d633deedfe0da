import { once } from 'node:events';
import { chown, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import type { Server } from 'node:http';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { buildImage, NONROOT_ID } from '../cluster/images.ts';
import { leftoversOf, machineState } from '../cluster/leftovers.ts';
import { run } from '../cluster/run.ts';
import { waitFor } from '../cluster/wait.ts';
import { importImage, nodeCluster } from '../jest/clusters.ts';
import { slotOf, startLauncher } from '../support/launcher.ts';

const IMAGE = 'localhost/batchqueue-probe:1';
const NAMESPACE = 'cluster-node';

/** What the project promises for a launcher that was killed. */
const GONE_WITHIN_MS = 10_000;

/** Reports what it may do and what it can reach, on its volume. */
const PROBE = `
import { writeFileSync } from 'node:fs';
const report = { uid: process.getuid(), gid: process.getgid(), version: process.version };
try { writeFileSync('/probe', ''); } catch (error) { report.rootWrite = error.code; }
const answer = await fetch(process.env.LISTENER);
report.listener = await answer.text();
writeFileSync('/volume/report.json', JSON.stringify(report));
`;

const RESTRICTED = {
  pod: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
  container: {
    readOnlyRootFilesystem: true,
    allowPrivilegeEscalation: false,
    capabilities: { drop: ['ALL'] },
  },
};

function kubectl(...args: string[]): Promise<string> {
  const { kubectlPath, kubeconfigPath } = nodeCluster();
  return run(kubectlPath, ['--kubeconfig', kubeconfigPath, ...args]);
}

/** A volume on a directory of this machine, its claim, and a Job that runs the probe with the claim mounted. */
function buildObjects(volume: string, listener: string): object {
  const size = { storage: '1Gi' };
  const access = { accessModes: ['ReadWriteMany'], storageClassName: NAMESPACE };
  const container = {
    name: 'probe',
    image: IMAGE,
    env: [{ name: 'LISTENER', value: listener }],
    securityContext: RESTRICTED.container,
    volumeMounts: [{ name: 'volume', mountPath: '/volume' }],
  };
  const pod = {
    restartPolicy: 'Never',
    securityContext: RESTRICTED.pod,
    containers: [container],
    volumes: [{ name: 'volume', persistentVolumeClaim: { claimName: 'probe' } }],
  };
  const items = [
    {
      apiVersion: 'v1',
      kind: 'PersistentVolume',
      metadata: { name: NAMESPACE },
      spec: { capacity: size, hostPath: { path: volume }, ...access },
    },
    {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name: 'probe' },
      spec: { resources: { requests: size }, ...access },
    },
    {
      apiVersion: 'batch/v1',
      kind: 'Job',
      metadata: { name: 'probe' },
      spec: { backoffLimit: 0, template: { spec: pod } },
    },
  ];
  return { apiVersion: 'v1', kind: 'List', items };
}

describe('the shared node', () => {
  let directory: string;
  let listener: Server;

  beforeAll(async () => {
    directory = await mkdtemp(path.join(tmpdir(), 'cluster-node-'));
    // hostPath volumes ignore fsGroup: the directory must belong to the user that writes.
    await chown(directory, NONROOT_ID, NONROOT_ID);
    listener = createServer((_, response) => response.end('reached')).listen(0, nodeCluster().hostAddress);
    await once(listener, 'listening');
  });

  afterAll(async () => {
    listener.close();
    await rm(directory, { recursive: true, force: true });
  });

  test('is Ready and runs the version of the control plane', async () => {
    const nodes: unknown = JSON.parse(await kubectl('get', 'nodes', '-o', 'json'));
    expect(nodes).toMatchObject({
      items: [
        {
          status: {
            conditions: expect.arrayContaining([expect.objectContaining({ type: 'Ready', status: 'True' })]),
            nodeInfo: { kubeletVersion: expect.stringMatching(/^v1\.\d+\.\d+$/) },
          },
        },
      ],
    });
  });

  test('runs an image built here, restricted, with a volume and a way to this machine', async () => {
    await writeFile(path.join(directory, 'probe.mjs'), PROBE);
    await importImage(
      await buildImage({ name: IMAGE, files: { '/app/main.mjs': path.join(directory, 'probe.mjs') } }),
    );
    await kubectl('create', 'namespace', NAMESPACE);
    await kubectl('label', 'namespace', NAMESPACE, 'pod-security.kubernetes.io/enforce=restricted');
    const address = listener.address();
    if (address === null || typeof address === 'string') throw new Error('the listener does not listen');
    const objects = buildObjects(directory, `http://${nodeCluster().hostAddress}:${address.port}`);
    await writeFile(path.join(directory, 'objects.json'), JSON.stringify(objects));
    await kubectl('-n', NAMESPACE, 'apply', '-f', path.join(directory, 'objects.json'));
    await kubectl('-n', NAMESPACE, 'wait', 'job/probe', '--for=condition=Complete', '--timeout=60s');
    const file = path.join(directory, 'report.json');
    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual({
      uid: NONROOT_ID,
      gid: NONROOT_ID,
      version: process.version,
      rootWrite: 'EROFS',
      listener: 'reached',
    });
    expect((await stat(file)).uid).toBe(NONROOT_ID);
  });
});

describe('a node of its own', () => {
  test('runs beside the shared one and leaves nothing within ten seconds after its launcher is killed', async () => {
    const before = await machineState();
    const launcher = await startLauncher('node');
    const suspect = { slot: slotOf(launcher.name), directory: path.dirname(launcher.kubeconfigPath) };
    const kinds = new Set((await leftoversOf(suspect, before)).map((line) => line.split(':')[0]));
    // What a running node shows; everything else it does is in namespaces of its own.
    expect(kinds).toEqual(new Set(['process', 'link', 'cgroup', 'run directory']));
    expect(await machineState()).toEqual(before);
    launcher.kill('SIGKILL');
    const clean = async () => (await leftoversOf(suspect, before)).length === 0;
    await expect(waitFor(clean, { what: 'removal', timeoutMs: GONE_WITHIN_MS })).resolves.toBe(true);
    expect(await kubectl('get', '--raw', '/readyz')).toBe('ok');
  });
});
