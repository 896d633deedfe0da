import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { type FieldProblem, parseBatchQueue, withSpecOf } from '../../../operator/api/validate.ts';
import { invalidExamples, validExamples } from './crd-examples.ts';

const URL = 'https://sqs.us-east-1.amazonaws.com/123456789012/orders';

interface Parts {
  readonly name?: string;
  readonly spec?: object;
  readonly job?: object;
  readonly pod?: object;
}

/** A minimal BatchQueue with parts of it added or replaced. */
function aBatchQueue({ name = 'orders', spec = {}, job = {}, pod = {} }: Parts = {}): object {
  const template = { spec: { containers: [{ name: 'worker', image: 'worker:1' }], ...pod } };
  return {
    metadata: { name },
    spec: { queue: { url: URL }, jobTemplate: { spec: { template, ...job } }, ...spec },
  };
}

function problemsOf(object: unknown): readonly FieldProblem[] {
  const parsed = parseBatchQueue(object);
  return parsed.ok ? [] : parsed.problems;
}

describe('parseBatchQueue', () => {
  test.each(validExamples())('accepts the example $name', ({ object }) => {
    expect(problemsOf(object)).toEqual([]);
  });

  const refusedByCode = invalidExamples().filter(({ expectedInCode }) => expectedInCode !== undefined);
  test.each(refusedByCode)(
    'refuses the example $name and says what is allowed',
    ({ object, expectedInCode }) => {
      const messages = problemsOf(object).map(({ message }) => message);
      expect(messages).toContainEqual(expect.stringContaining(String(expectedInCode)));
    },
  );

  const refusedElsewhere = invalidExamples().filter(({ expectedInCode }) => expectedInCode === undefined);
  test.each(refusedElsewhere)('leaves the example $name to the API server', ({ object }) => {
    expect(problemsOf(object)).toEqual([]);
  });

  test('applies every default', () => {
    const object = aBatchQueue();
    const parsed = parseBatchQueue(object);
    expect(parsed).toEqual({
      ok: true,
      queue: {
        metadata: { name: 'orders' },
        spec: {
          queue: { url: URL, visibilityTimeoutSeconds: 300, batchSize: 1, batchWindowSeconds: 0 },
          deadLetter: { sendRejected: false },
          maxConcurrentJobs: 10,
          suspend: false,
          retry: { minBackoffSeconds: 10, maxBackoffSeconds: 3600 },
          successfulJobsHistoryLimit: 3,
          failedJobsHistoryLimit: 5,
          revisionHistoryLimit: 10,
          jobTemplate: {
            spec: { template: { spec: { containers: [{ name: 'worker', image: 'worker:1' }] } } },
          },
        },
      },
    });
  });

  test('applies the default beside a field that is given', () => {
    const parsed = parseBatchQueue(aBatchQueue({ spec: { retry: { minBackoffSeconds: 60 } } }));
    expect(parsed).toMatchObject({
      queue: { spec: { retry: { minBackoffSeconds: 60, maxBackoffSeconds: 3600 } } },
    });
  });

  test('reports all problems at once, each with its path and what is allowed', () => {
    const object = aBatchQueue({
      name: 'a'.repeat(80),
      spec: {
        queue: { url: 'orders', batchSize: 0 },
        maxConcurrentJobs: 1001,
        retry: { minBackoffSeconds: 0 },
        storage: { claimName: 'efs-claim', mountPath: 'efs' },
      },
    });
    expect(problemsOf(object)).toEqual([
      { path: 'spec.queue.batchSize', message: 'must be 1..100, got 0' },
      { path: 'spec.maxConcurrentJobs', message: 'must be 0..1000, got 1001' },
      { path: 'spec.retry.minBackoffSeconds', message: 'must be 1..43200, got 0' },
      { path: 'metadata.name', message: expect.stringContaining('at most 52 characters') },
      { path: 'spec.queue.url', message: expect.stringContaining('must be http(s)://host[:port]') },
      { path: 'spec.storage.mountPath', message: expect.stringContaining('must be an absolute path') },
    ]);
  });

  test('names the element of a list that is to blame', () => {
    const env = [{ name: 'LEVEL' }, { name: 'BATCHQUEUE_NAME', value: 'x' }];
    const pod = {
      containers: [
        { name: 'a', image: 'a' },
        { name: 'b', env },
      ],
    };
    expect(problemsOf(aBatchQueue({ pod })).map(({ path }) => path)).toEqual([
      'spec.jobTemplate.spec.template.spec.containers[1].image',
      'spec.jobTemplate.spec.template.spec.containers[1].env[1].name',
    ]);
  });

  test.each([
    ['a wrong type', { maxConcurrentJobs: 'ten' }, 'must be an integer, 0..1000, got a string'],
    ['a fraction', { maxConcurrentJobs: 1.5 }, 'must be an integer, 0..1000, got 1.5'],
    ['a number beyond all bounds', { maxConcurrentJobs: 1e300 }, 'must be 0..1000, got 1e+300'],
    ['a number for a flag', { suspend: 1 }, 'must be a boolean, got a number'],
    ['null in a list', contained(0, null), 'must be an object, got null'],
    ['a list for an object', { storage: [] }, 'must be an object, got a list'],
    ['an object for a text', { serviceAccountName: {} }, 'must be a string, got an object'],
    ['a text too long', { serviceAccountName: 'a'.repeat(254) }, 'must be at most 253 characters, got 254'],
    [
      'an object for a list',
      { jobTemplate: { spec: { template: { spec: { containers: {} } } } } },
      'must be a list, got an object',
    ],
    ['too many labels', labelled(65), 'must have at most 64 entries'],
    ['too many containers', contained(33), 'must have at most 32 items, got 33'],
  ])('says of %s what it should be', (_what, spec, message) => {
    expect(problemsOf(aBatchQueue({ spec })).map((problem) => problem.message)).toContainEqual(message);
  });

  test.each([
    ['nothing', undefined],
    ['null', null],
    ['a list', []],
    ['a text', 'BatchQueue'],
    ['an object without a spec', { metadata: { name: 'orders' } }],
    ['an object without metadata', { spec: {} }],
    ['an object without a name', { ...aBatchQueue(), metadata: {} }],
    ['a spec that is a list', { metadata: { name: 'orders' }, spec: [] }],
  ])('refuses %s', (_what, object) => {
    expect(problemsOf(object)).not.toEqual([]);
  });

  test('leaves out fields that it does not know, but not in the template', () => {
    const job = { futureField: { a: 1 } };
    const spec = { queue: { url: URL, futureField: 1 }, futureField: 2 };
    const parsed = parseBatchQueue(aBatchQueue({ spec, job }));
    expect(parsed).toMatchObject({
      ok: true,
      queue: { spec: { jobTemplate: { spec: { futureField: { a: 1 } } } } },
    });
    expect(JSON.stringify(parsed)).not.toContain('"futureField":2');
    expect(JSON.stringify(parsed)).not.toContain('"futureField":1');
  });

  test('passes the template on as it came, key order included', () => {
    const jobTemplate = {
      spec: {
        template: { spec: { nodeName: 'n', containers: [{ image: 'w', command: ['x'], name: 'w' }] } },
        activeDeadlineSeconds: 5,
      },
      metadata: { annotations: { b: '1', a: '2' } },
    };
    const parsed = parseBatchQueue(aBatchQueue({ spec: { jobTemplate } }));
    expect(parsed.ok && JSON.stringify(parsed.queue.spec.jobTemplate)).toBe(JSON.stringify(jobTemplate));
  });

  test('takes null for not set, as the API server does', () => {
    const nulls = {
      maxConcurrentJobs: null,
      serviceAccountName: null,
      storage: null,
      retry: { minBackoffSeconds: null },
    };
    const pod = { metadata: { creationTimestamp: null, labels: null } };
    const parsed = parseBatchQueue(aBatchQueue({ spec: nulls, pod }));
    expect(parsed).toMatchObject({
      ok: true,
      queue: { spec: { maxConcurrentJobs: 10, retry: { minBackoffSeconds: 10 } } },
    });
    expect(JSON.stringify(parsed)).not.toContain('null');
  });

  test('keeps a status that it can read', () => {
    const status = { observedGeneration: 4, jobs: { active: 2 } };
    expect(parseBatchQueue({ ...aBatchQueue(), status })).toMatchObject({ ok: true, queue: { status } });
  });

  test('leaves out a status that it cannot read', () => {
    const parsed = parseBatchQueue({ ...aBatchQueue(), status: { observedGeneration: 'four' } });
    expect(parsed).toMatchObject({ ok: true, queue: { status: undefined } });
  });

  test('never throws, whatever it is given', () => {
    fc.assert(
      fc.property(fc.anything(), fc.anything(), fc.anything(), (metadata, spec, template) => {
        parseBatchQueue({ metadata, spec });
        parseBatchQueue(aBatchQueue({ spec: { jobTemplate: template } }));
        parseBatchQueue(aBatchQueue({ job: { template } }));
      }),
      { numRuns: 300 },
    );
  });
});

function labelled(count: number): object {
  const labels = Object.fromEntries(Array.from({ length: count }, (_, index) => [`label-${index}`, 'x']));
  return {
    jobTemplate: {
      metadata: { labels },
      spec: { template: { spec: { containers: [{ name: 'a', image: 'a' }] } } },
    },
  };
}

function contained(count: number, ...more: unknown[]): object {
  const many = Array.from({ length: count }, (_, index) => ({ name: `c${index}`, image: 'a' }));
  const containers = [...many, ...more];
  return { jobTemplate: { spec: { template: { spec: { containers } } } } };
}

test('a BatchQueue whose spec is known is read anew but for that', () => {
  const known = parseBatchQueue(aBatchQueue());
  const metadata = { name: 'orders', resourceVersion: '7' };
  expect(withSpecOf(known, { metadata, status: { observedGeneration: 3 } })).toEqual({
    ok: true,
    queue: { metadata, spec: known.ok && known.queue.spec, status: { observedGeneration: 3 } },
  });
  const wrong = parseBatchQueue(aBatchQueue({ name: 'Not a label' }));
  expect(withSpecOf(wrong, { metadata })).toBe(wrong);
});
