import { chown, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { buildImage, type ImageOptions, NONROOT_ID } from '../cluster/images.ts';
import { run } from '../cluster/run.ts';
import { lookUpTool } from '../cluster/tools.ts';
import { waitFor } from '../cluster/wait.ts';
import { importImage, nodeCluster } from '../jest/clusters.ts';
import { commandFiles, pythonFiles } from '../support/programs.ts';

jest.setTimeout(180_000);

const NAMESPACE = 'worker-examples';
const EXAMPLES = fileURLToPath(new URL('../../docs/examples', import.meta.url));

/** An example, the programs of this machine that its image is made of, and what its pod runs. */
interface Example {
  readonly needs: readonly string[];
  readonly build: () => Promise<{
    readonly image: Omit<ImageOptions, 'name'>;
    readonly command?: readonly string[];
  }>;
}

const SHELL_COMMANDS = 'sh jq cat chmod cut dirname mkdir mktemp mv rm sync wc'.split(' ');

const EXAMPLE_WORKERS: Readonly<Record<string, Example>> = {
  typescript: {
    needs: [],
    build: async () => ({ image: { entry: 'docs/examples/typescript/worker.ts' } }),
  },
  python: {
    needs: ['python3'],
    build: async () => {
      const { python, files } = await pythonFiles(['json', 'os', 'signal', 'uuid']);
      const worker = { '/app/worker.py': path.join(EXAMPLES, 'python/worker.py') };
      return { image: { files: { ...files, ...worker } }, command: [python, '-I', '/app/worker.py'] };
    },
  },
  shell: {
    needs: SHELL_COMMANDS,
    build: async () => {
      const worker = { '/app/worker.sh': path.join(EXAMPLES, 'shell/worker.sh') };
      const files = { ...(await commandFiles(SHELL_COMMANDS)), ...worker };
      return { image: { files }, command: ['sh', '/app/worker.sh'] };
    },
  },
};

const kubectl = (...args: string[]) => {
  const { kubectlPath, kubeconfigPath } = nodeCluster();
  return run(kubectlPath, ['--kubeconfig', kubeconfigPath, '-n', NAMESPACE, ...args]);
};

let volume: string;
beforeAll(async () => {
  volume = await mkdtemp(path.join(tmpdir(), 'worker-examples-'));
  await mkdir(path.join(volume, 'in'));
  for (const directory of [volume, path.join(volume, 'in')]) await chown(directory, NONROOT_ID, NONROOT_ID);
  await writeFile(path.join(volume, 'in/a.txt'), 'one\ntwo\nthree\n');
  await kubectl('create', 'namespace', NAMESPACE);
});

afterAll(async () => {
  await kubectl('delete', 'namespace', NAMESPACE, '--wait=true', '--timeout=60s');
  await rm(volume, { recursive: true, force: true });
}, 120_000);

/** What the operator gives a pod: messages and storage; restricted, with a read-only root. */
function podOf(language: string, image: string, command: readonly string[] | undefined): object {
  const container = {
    name: 'worker',
    image,
    ...(command && { command }),
    env: [
      { name: 'BATCHQUEUE_MESSAGES_FILE', value: '/var/run/batchqueue/messages.json' },
      { name: 'BATCHQUEUE_STORAGE_PATH', value: '/storage' },
    ],
    securityContext: {
      readOnlyRootFilesystem: true,
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'] },
    },
    volumeMounts: [
      { name: 'messages', mountPath: '/var/run/batchqueue' },
      { name: 'storage', mountPath: '/storage' },
    ],
  };
  const spec = {
    restartPolicy: 'Never',
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    dnsPolicy: 'Default',
    securityContext: {
      runAsNonRoot: true,
      runAsUser: NONROOT_ID,
      seccompProfile: { type: 'RuntimeDefault' },
    },
    containers: [container],
    volumes: [
      { name: 'messages', configMap: { name: language } },
      { name: 'storage', hostPath: { path: volume, type: 'Directory' } },
    ],
  };
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name: language }, spec };
}

function messagesOf(language: string): object {
  const bodies = [
    { input: 'in/a.txt', output: `${language}/a.count` },
    { input: 'in/none.txt', output: 'b' },
  ];
  const records = bodies.map((body, index) => ({
    messageId: `m-${index}`,
    body: JSON.stringify(body),
    attributes: {},
    messageAttributes: {},
    attempt: 1,
  }));
  const data = { 'messages.json': JSON.stringify(records) };
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: language }, data };
}

for (const [language, { needs, build }] of Object.entries(EXAMPLE_WORKERS)) {
  const missing = needs.filter((name) => lookUpTool(name) === undefined);
  const needed = missing.length === 0 ? '' : ` (needs ${missing.join(', ')})`;

  (missing.length === 0 ? test : test.skip)(
    `The example worker in ${language} does what can be done on a real node and names what cannot${needed}`,
    async () => {
      const example = await build();
      const image = `localhost/batchqueue-example-${language}:1`;
      await importImage(await buildImage({ name: image, ...example.image }));
      const items = [messagesOf(language), podOf(language, image, example.command)];
      const file = path.join(volume, `${language}.json`);
      await writeFile(file, JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
      await kubectl('apply', '-f', file);
      const status = (field: string) =>
        kubectl(
          'get',
          'pod',
          language,
          '-o',
          `jsonpath={.status.containerStatuses[0].state.terminated.${field}}`,
        );
      await waitFor(async () => (await status('exitCode')) !== '', {
        what: `end of the ${language} example`,
        timeoutMs: 90_000,
      });
      const [exitCode, message, log] = [
        await status('exitCode'),
        await status('message'),
        await kubectl('logs', language),
      ];
      expect({ exitCode, log }).toMatchObject({ exitCode: '65' });
      expect(JSON.parse(message)).toMatchObject({ succeededIndexes: '0', rejectedIndexes: '1' });
      expect(await readFile(path.join(volume, language, 'a.count'), 'utf8')).toBe('3\n');
    },
  );
}
