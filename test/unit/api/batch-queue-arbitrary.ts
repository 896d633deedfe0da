/** BatchQueues that are right, nearly right and wrong, to compare what two judges say of them. */

import * as fc from 'fast-check';

export interface GeneratedBatchQueue {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec: object;
}

type Json = Record<string, unknown>;
/** Where to put a value (`.` between fields, numbers for elements), and which values. */
type Mutation = readonly [path: string, values: fc.Arbitrary<unknown>];

const POD = 'jobTemplate.spec.template.spec';
const WORKER = `${POD}.containers.0`;
const URL = 'https://sqs.us-east-1.amazonaws.com/123456789012/orders';

/** A spec with something at every place that a mutation changes. */
function baseSpec(): Json {
  return {
    queue: { url: URL },
    retry: {},
    storage: { claimName: 'efs-claim', mountPath: '/efs' },
    imagePullSecret: { name: 'regcred' },
    serviceAccountName: 'ecr-sa',
    jobTemplate: {
      metadata: { labels: {}, annotations: {} },
      spec: {
        template: {
          metadata: { labels: {}, annotations: {} },
          spec: {
            containers: [
              { name: 'worker', image: 'worker:1', env: [{ name: 'A' }], volumeMounts: [mount('/a')] },
            ],
            initContainers: [{ name: 'prepare', image: 'prepare:1', env: [{ name: 'A' }] }],
            volumes: [{ name: 'v', emptyDir: {} }],
          },
        },
      },
    },
  };
}

function mount(mountPath: string): Json {
  return { name: 'v', mountPath };
}

const anyText = fc.oneof(fc.string({ maxLength: 12 }), fc.string({ unit: 'grapheme', maxLength: 6 }));

function around(min: number, max: number): fc.Arbitrary<unknown> {
  return fc.constantFrom<unknown>(min - 1, min, max, max + 1, min + 0.5, -1, 0, `${min}`, true, [], {});
}

function textOf(...special: unknown[]): fc.Arbitrary<unknown> {
  return fc.oneof({ weight: 4, arbitrary: fc.constantFrom(...special) }, { weight: 1, arbitrary: anyText });
}

const objectName = textOf(
  'a',
  'a.b',
  'a-b.c0',
  'A',
  'a_b',
  '-a',
  'a.',
  '',
  'a'.repeat(253),
  'a'.repeat(254),
  5,
  null,
);
const path = textOf(
  '/efs',
  '/efs/',
  '/a/b',
  'efs',
  '/',
  '//a',
  '/a//b',
  '/a/../b',
  '/a/..',
  '/a/.',
  '/..a',
  '/a..',
  '/dev',
  '/dev/',
  '/dev/x',
  '/develop',
  '/proc/1',
  '/sys',
  '/var',
  '/var/',
  '/var/run',
  '/var/run/x',
  '/var/run/batchqueue',
  '/var/run/batchqueues',
  '/var/run/batchqueue/',
  '/var/run/batchqueue/x',
  '/a:b',
  '',
  '/a\nb',
  `/${'a'.repeat(1023)}`,
  `/${'a'.repeat(1024)}`,
  1,
  null,
);
const subPath = textOf('orders', 'a/b', 'a/', '/a', '..', 'a/../b', 'a//b', '.', '.a', 'a..b', '', 3);
const url = textOf(
  URL,
  `${URL}.fifo`,
  `${URL}/`,
  `${URL}?a`,
  'http://localhost:4566/000000000000/q',
  'http://localhost:70000/000000000000/q',
  'https://a@b/123456789012/q',
  'sqs',
  'https://a/12345/q',
  `${URL}${'q'.repeat(74)}`,
  `${URL}${'q'.repeat(75)}`,
  '',
  7,
);
const env = textOf(
  'LEVEL',
  'BATCHQUEUE_NAME',
  'BATCHQUEUE',
  'batchqueue_x',
  'SQS_QUEUE_URL',
  'A'.repeat(256),
  'A'.repeat(257),
  1,
);
const image = textOf('worker', '', 5, null);
const map = fc.constantFrom<unknown>(
  { a: 'b' },
  { 'batchqueue.io/queue': 'x' },
  { 'example.com/a': 'b', 'batchqueue.io/': '' },
  { 'batchqueue.io': 'x' },
  { 'a.batchqueue.io/x': 'y' },
  Object.fromEntries(Array.from({ length: 64 }, (_, index) => [`k${index}`, ''])),
  Object.fromEntries(Array.from({ length: 65 }, (_, index) => [`k${index}`, ''])),
  { a: 1 },
  'a',
  null,
);

function containers(count: number): Json[] {
  return Array.from({ length: count }, (_, index) => ({ name: `c${index}`, image: 'a' }));
}

const MUTATIONS: readonly Mutation[] = [
  ['queue.url', url],
  ['queue.visibilityTimeoutSeconds', around(10, 3600)],
  ['queue.batchSize', around(1, 100)],
  ['queue.batchWindowSeconds', around(0, 300)],
  ['deadLetter.sendRejected', fc.constantFrom<unknown>(true, false, 'yes', null)],
  ['queue', fc.constantFrom<unknown>(undefined, null, {}, [])],
  ['maxConcurrentJobs', around(0, 1000)],
  ['suspend', fc.constantFrom<unknown>(true, false, 'true', 0)],
  ['serviceAccountName', objectName],
  ['storage', fc.constantFrom<unknown>(undefined, null, {}, { claimName: 'a' }, { mountPath: '/a' })],
  ['storage.claimName', objectName],
  ['storage.mountPath', path],
  ['storage.subPath', subPath],
  ['imagePullSecret.name', objectName],
  ['retry.minBackoffSeconds', fc.oneof(around(1, 43_200), fc.constantFrom(3600, 3601))],
  ['retry.maxBackoffSeconds', fc.oneof(around(1, 43_200), fc.constantFrom(9, 10))],
  ['successfulJobsHistoryLimit', around(0, 100)],
  ['failedJobsHistoryLimit', around(0, 100)],
  ['revisionHistoryLimit', around(0, 100)],
  ['revision', around(1, 1_000_000_000)],
  ['jobTemplate', fc.constantFrom<unknown>(undefined, null, {}, { spec: {} }, [])],
  [
    'jobTemplate.metadata',
    fc.constantFrom<unknown>(undefined, null, {}, { creationTimestamp: null }, { name: 'a' }),
  ],
  ['jobTemplate.metadata.labels', map],
  ['jobTemplate.metadata.annotations', map],
  ['jobTemplate.spec.template.metadata.labels', map],
  ['jobTemplate.spec.template.metadata.annotations', map],
  ['jobTemplate.spec.activeDeadlineSeconds', around(1, 2_147_483_647)],
  ['jobTemplate.spec.parallelism', fc.constantFrom<unknown>(1, 0, 2, '1', null)],
  ['jobTemplate.spec.completionMode', fc.constantFrom('NonIndexed', 'Indexed', 'Other')],
  ['jobTemplate.spec.backoffLimit', fc.constantFrom<unknown>(0, 6, null, 'a')],
  ['jobTemplate.spec.suspend', fc.boolean()],
  ['jobTemplate.spec.ttlSecondsAfterFinished', fc.constantFrom<unknown>(0, 60)],
  [`${POD}.restartPolicy`, fc.constantFrom('Never', 'Always', 'OnFailure', 'never')],
  [`${POD}.serviceAccountName`, fc.constantFrom<unknown>('ecr-sa', 'admin', '', 5)],
  [`${POD}.serviceAccount`, fc.constantFrom('ecr-sa', '')],
  [
    `${POD}.containers`,
    fc.constantFrom<unknown>(undefined, null, [], {}, [null], containers(32), containers(33)),
  ],
  [`${POD}.volumes`, fc.constantFrom<unknown>(null, [], [{}], [{ name: 5 }])],
  [`${POD}.volumes.0.name`, textOf('batchqueue-messages', 'batchqueue-storage', 'batchqueue', 'v')],
  [`${WORKER}.image`, image],
  [`${WORKER}.name`, fc.constantFrom<unknown>(undefined, 'a', 5)],
  [`${WORKER}.restartPolicy`, fc.constantFrom('Never', 'Always', 'OnFailure')],
  [`${WORKER}.env.0.name`, env],
  [`${WORKER}.env.0.value`, fc.constantFrom<unknown>('', 'a', 5, true)],
  [`${WORKER}.volumeMounts.0.mountPath`, path],
  [`${POD}.initContainers.0.image`, image],
  [`${POD}.initContainers.0.env.0.name`, env],
  [`${POD}.initContainers.0.restartPolicy`, fc.constantFrom('Never', 'Always')],
];

const mutation = fc
  .constantFrom(...MUTATIONS)
  .chain(([at, values]) => values.map((value) => ({ at, value })));

/** Names of which all but the number says what kind they are, so that each object of a sample has its own. */
const name = fc.constantFrom<(number: number) => string>(
  ...[10, 10, 10, 10, 52, 53, 80].map((length) => (number: number) => String(number).padStart(length, 'a')),
  (number) => `a.${number}`,
  (number) => `A${number}`,
);

const batchQueue = fc.record({ name, mutations: fc.array(mutation, { maxLength: 3 }) });

/** `count` BatchQueues with up to three mutations each and different names; the same ones for the same seed. */
export function sampleBatchQueues(count: number, seed: number): GeneratedBatchQueue[] {
  return fc.sample(batchQueue, { numRuns: count, seed }).map((generated, index) => {
    const spec = baseSpec();
    for (const { at, value } of generated.mutations) setAt(spec, at.split('.'), value);
    return {
      apiVersion: 'batchqueue.io/v1alpha1',
      kind: 'BatchQueue',
      metadata: { name: generated.name(index) },
      spec,
    };
  });
}

/** Puts a copy of `value` in place, or takes the field away for undefined; does nothing where an earlier mutation removed the way. */
function setAt(root: Json, [...fields]: string[], value: unknown): void {
  const last = fields.pop() ?? '';
  let parent: unknown = root;
  for (const field of fields) parent = isRecord(parent) ? parent[field] : undefined;
  if (!isRecord(parent)) return;
  if (value === undefined) delete parent[last];
  else parent[last] = structuredClone(value);
}

function isRecord(value: unknown): value is Json {
  return typeof value === 'object' && value !== null;
}
