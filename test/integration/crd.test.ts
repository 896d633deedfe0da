import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import generatedJobTemplate from '../../operator/api/job-template.generated.json' with { type: 'json' };
import { fieldOf } from '../../operator/api/json.ts';
import { parseBatchQueue } from '../../operator/api/validate.ts';
import { jobTemplateSchemaFrom } from '../../scripts/job-template-schema.ts';
import { waitFor } from '../cluster/wait.ts';
import { kubectl, tryKubectl } from '../support/kubectl.ts';
import { sampleBatchQueues } from '../unit/api/batch-queue-arbitrary.ts';
import { invalidExamples, validExamples } from '../unit/api/crd-examples.ts';

const CRD = fileURLToPath(new URL('../../crds/batchqueues.yaml', import.meta.url));
const EXAMPLES = fileURLToPath(new URL('../../crds/examples/', import.meta.url));
/** Minor version of Kubernetes whose API `job-template.generated.json` was made from. */
const GENERATED_FROM_MINOR = '36';
const namespace = `crd-${randomBytes(4).toString('hex')}`;

beforeAll(async () => {
  await kubectl('apply', '-f', CRD);
  // `kubectl wait` gives up on a CRD that has no conditions yet.
  await waitFor(() => kubectl('get', 'batchqueues'), { what: 'serving batchqueues', timeoutMs: 45_000 });
  await kubectl('create', 'namespace', namespace);
}, 60_000);

afterAll(async () => {
  await kubectl('delete', 'namespace', namespace, '--wait=false');
});

describe('the API server', () => {
  test.each(validExamples())('accepts the example $name', async ({ path }) => {
    await kubectl('create', '--dry-run=server', '-f', path);
  });

  test.each(invalidExamples())('refuses the example $name as code does', async (example) => {
    const { ok, stderr } = await tryKubectl(['create', '--dry-run=server', '-f', example.path]);
    expect({ ok, stderr }).toEqual({ ok: false, stderr: expect.stringContaining(example.expected) });
    if (example.expectedInCode === undefined) return;
    const parsed = parseBatchQueue(example.object);
    const paths = parsed.ok ? ['none'] : parsed.problems.map((problem) => problem.path);
    for (const path of paths.filter((name) => name !== 'metadata.name'))
      expect(stderr).toContain(`${path}: `);
  });

  test('applies the defaults that code applies', async () => {
    const args = ['create', '--dry-run=server', '-o', 'json', '-f', join(EXAMPLES, 'valid/minimal.yaml')];
    const created: unknown = JSON.parse(await kubectl(...args));
    const parsed = parseBatchQueue(validExamples().find(({ name }) => name === 'minimal')?.object);
    expect(fieldOf(created, 'spec')).toEqual(parsed.ok ? parsed.queue.spec : 'refused');
  });

  test('accepts what code accepts and refuses what code refuses, for 200 mutated BatchQueues', async () => {
    const generated = sampleBatchQueues(200, 20_261_123);
    const directory = await mkdtemp(join(tmpdir(), 'batchqueue-crd-'));
    const file = join(directory, 'list.json');
    await writeFile(file, JSON.stringify({ apiVersion: 'v1', kind: 'List', items: generated }));
    const { stdout, stderr } = await tryKubectl([
      'create',
      '--dry-run=server',
      '--validate=ignore',
      '-n',
      namespace,
      '-f',
      file,
    ]);
    await rm(directory, { recursive: true });

    const byServer = new Set(
      stdout.split('\n').flatMap((line) => /^batchqueue\S*\/(\S+) created/.exec(line)?.[1] ?? []),
    );
    const disagreements = generated.filter(
      (object) => parseBatchQueue(object).ok !== byServer.has(object.metadata.name),
    );
    const report = disagreements.map((object) => ({
      object: JSON.stringify(object),
      code: parseBatchQueue(object),
      stderr,
    }));
    expect(report).toEqual([]);
    expect(byServer.size).toBeGreaterThan(30);
    expect(generated.length - byServer.size).toBeGreaterThan(30);
  }, 60_000);

  test('publishes the Job template that the CRD carries, when it is of the same minor version', async () => {
    const openapi: unknown = JSON.parse(await kubectl('get', '--raw', '/openapi/v3/apis/batch/v1'));
    const version: unknown = JSON.parse(await kubectl('get', '--raw', '/version'));
    const published: unknown = jobTemplateSchemaFrom(openapi);
    const same = fieldOf(version, 'minor') === GENERATED_FROM_MINOR;
    expect(published).toEqual(same ? generatedJobTemplate : expect.objectContaining({ type: 'object' }));
  });
});

describe('kubectl', () => {
  const full = join(EXAMPLES, 'valid/full.yaml');

  beforeAll(async () => {
    await kubectl('apply', '-n', namespace, '-f', full);
    const status = {
      observedGeneration: 1,
      conditions: [
        {
          type: 'Ready',
          status: 'True',
          reason: 'Polling',
          message: 'reads the queue',
          lastTransitionTime: secondsAgo(60),
        },
      ],
      queue: { visible: 12, deadLetter: 3 },
      jobs: { active: 8, oldestMessageTime: secondsAgo(3600) },
      revision: { current: 4, image: 'worker:4' },
      lastSuccessTime: secondsAgo(7200),
    };
    const patch = ['--subresource=status', '--type=merge', '-p', JSON.stringify({ status })];
    await kubectl('patch', '-n', namespace, 'batchqueue/full', ...patch);
  });

  function secondsAgo(seconds: number): string {
    return new Date(Date.now() - seconds * 1000).toISOString();
  }

  test('apply changes nothing when nothing changed', async () => {
    expect(await kubectl('apply', '-n', namespace, '-f', full)).toContain('full unchanged');
  });

  test('get bq shows whether it drains, what is stuck and since when', async () => {
    const [header, row] = (await kubectl('get', 'bq', '-n', namespace)).split('\n');
    expect(header?.split(/\s+/)).toEqual([
      'NAME',
      'READY',
      'WAITING',
      'ACTIVE',
      'MAX',
      'DEAD',
      'OLDEST',
      'REVISION',
      'AGE',
    ]);
    expect(row).toMatch(/^full\s+True\s+12\s+8\s+25\s+3\s+60m\s+4\s+\d+s$/);
  });

  test('get batchqueue -o wide shows why, the image and the last success too', async () => {
    const [header, row] = (await kubectl('get', 'batchqueue', '-o', 'wide', '-n', namespace)).split('\n');
    expect(header).toMatch(/AGE\s+REASON\s+MESSAGE\s+PINNED\s+IMAGE\s+LAST SUCCESS$/);
    expect(row).toMatch(/Polling\s+reads the queue\s+worker:4\s+12\dm$/);
  });

  test('wait --for=condition=Ready understands the conditions', async () => {
    await kubectl('wait', '--for=condition=Ready', '--timeout=10s', '-n', namespace, 'batchqueue/full');
  });

  test('explain describes the fields outside the template', async () => {
    expect(await kubectl('explain', 'bq.spec.queue')).toContain('Messages per Job, at most.');
    expect(await kubectl('explain', 'bq.spec')).toContain('How many Jobs may run at once.');
  });

  test('scale sets how many Jobs may run, down to none', async () => {
    await kubectl('apply', '-n', namespace, '-f', join(EXAMPLES, 'valid/minimal.yaml'));
    await kubectl('scale', '-n', namespace, 'bq/minimal', '--replicas=0');
    expect(
      await kubectl('get', '-n', namespace, 'bq/minimal', '-o', 'jsonpath={.spec.maxConcurrentJobs}'),
    ).toBe('0');
  });
});
