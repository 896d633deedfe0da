import { chown, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { buildImage, type ImageOptions, NONROOT_ID } from '../cluster/images.ts';
import { run } from '../cluster/run.ts';
import { waitFor } from '../cluster/wait.ts';
import { importImage, nodeCluster } from '../jest/clusters.ts';
import { commandFiles, pythonFiles } from '../support/programs.ts';

jest.setTimeout(180_000);

const NAMESPACE = 'worker-examples';
const EXAMPLES = fileURLToPath(new URL('../../docs/examples', import.meta.url));

/** An example on an image, or what this machine lacks for it. */
type Example =
  | { readonly image: Omit<ImageOptions, 'name'>; readonly command?: readonly string[] }
  | { readonly missing: string };

const EXAMPLE_WORKERS: Readonly<Record<string, () => Promise<Example>>> = {
  typescript: async () => ({ image: { entry: 'docs/examples/typescript/worker.ts' } }),
  python: async () => {
    const found = await pythonFiles(['json', 'os', 'signal', 'uuid']);
    if ('missing' in found) return found;
    const files = { ...found.files, '/app/worker.py': path.join(EXAMPLES, 'python/worker.py') };
    return { image: { files }, command: [found.python, '-I', '/app/worker.py'] };
  },
  shell: async () => {
    const commands = [
      'sh',
      'jq',
      'cat',
      'chmod',
      'cut',
      'dirname',
      'mkdir',
      'mktemp',
      'mv',
      'rm',
      'sync',
      'wc',
    ];
    const found = await commandFiles(commands);
    if ('missing' in found && found.missing !== undefined) return { missing: found.missing };
    const files = { ...found, '/app/worker.sh': path.join(EXAMPLES, 'shell/worker.sh') };
    return { image: { files }, command: ['sh', '/app/worker.sh'] };
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

describe.each(Object.entries(EXAMPLE_WORKERS))(
  'the example worker in %s, on a real node',
  (language, find) => {
    test('does what can be done, names what cannot, and ends with the contract code', async () => {
      const example = await find();
      if ('missing' in example) {
        // The one thing that may differ between machines; the same program ran as a process in the unit tests.
        process.stderr.write(
          `worker-examples: ${language} not run on the node: ${example.missing} is not installed\n`,
        );
        return;
      }
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
    });
  },
);
