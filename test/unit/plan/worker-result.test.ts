import { describe, expect, test } from '@jest/globals';
import { podsOfJobFrom, resultFromFailure } from '../../../operator/plan/worker-result.ts';
import type { KubeObject } from '../../../operator/ports.ts';

interface PodParts {
  readonly phase?: string;
  readonly deleting?: boolean;
  readonly created?: string;
  readonly status?: object;
  readonly annotations?: Record<string, string>;
  readonly containers?: readonly string[];
}

function aPod(parts: PodParts = {}): KubeObject {
  const { phase = 'Running', created = '2026-01-01T12:00:00Z', containers = ['worker'] } = parts;
  return {
    metadata: {
      name: 'pod',
      creationTimestamp: created,
      ...(parts.deleting && { deletionTimestamp: created }),
      ...(parts.annotations && { annotations: parts.annotations }),
    },
    spec: { containers: containers.map((name) => ({ name })) },
    status: { phase, ...parts.status },
  };
}

function ended(exitCode: number, message = '', name = 'worker'): object {
  return { name, state: { terminated: { exitCode, message, reason: 'Error' } } };
}

function failedPod(...containerStatuses: object[]): KubeObject {
  return aPod({ phase: 'Failed', status: { containerStatuses } });
}

describe('podsOfJobFrom', () => {
  test('of no pods knows nothing', () => {
    expect(podsOfJobFrom([])).toEqual({
      running: 0,
      terminating: 0,
      neverStarted: false,
      result: undefined,
      resultOfIndex: new Map(),
    });
  });

  test('tells which pods have succeeded', () => {
    const index = (number: string) => ({ 'batch.kubernetes.io/job-completion-index': number });
    const pods = [
      aPod({ phase: 'Succeeded', annotations: index('2') }),
      aPod({ phase: 'Failed', annotations: index('1') }),
      aPod({ annotations: index('0') }),
    ];
    expect(podsOfJobFrom(pods).succeededIndexes).toEqual(new Set([2]));
    expect(podsOfJobFrom(pods).hasSucceeded).toBeUndefined();
    expect(podsOfJobFrom([aPod({ phase: 'Succeeded' })])).toMatchObject({ hasSucceeded: true });
    expect(podsOfJobFrom([aPod({ phase: 'Failed' })]).hasSucceeded).toBeUndefined();
  });

  test.each<[string, PodParts, number, number]>([
    ['runs', {}, 1, 0],
    ['has not been scheduled', { phase: 'Pending' }, 1, 0],
    ['cannot be heard from', { phase: 'Unknown' }, 1, 0],
    ['has been asked to end', { deleting: true }, 0, 1],
    ['has succeeded', { phase: 'Succeeded' }, 0, 0],
    ['has failed', { phase: 'Failed' }, 0, 0],
    ['has failed and is being removed', { phase: 'Failed', deleting: true }, 0, 0],
  ])('counts a pod that %s', (_, parts, running, terminating) => {
    expect(podsOfJobFrom([aPod(parts)])).toMatchObject({ running, terminating });
  });

  test.each([
    [65, 'DataError'],
    [75, 'TemporaryFailure'],
    [78, 'ConfigurationError'],
    [1, 'Error'],
    [137, 'Error'],
  ])('names exit code %i', (exitCode, reason) => {
    expect(podsOfJobFrom([failedPod(ended(exitCode, ' text '))]).result).toEqual({
      exitCode,
      reason,
      message: 'text',
    });
  });

  test.each<[string, object, string]>([
    ['the reason', { reason: 'no such file' }, 'no such file'],
    [
      'the reason and the figures of the summary',
      { reason: 'line 3 is bad', summary: { rowsIn: 3, seconds: 0.25 } },
      'line 3 is bad (rowsIn 3, seconds 0.25)',
    ],
    ['the figures alone', { summary: { rowsIn: 3, seconds: 0.25 } }, 'rowsIn 3, seconds 0.25'],
    ['no summary that is not figures', { reason: 'bad', summary: { rows: 'many' } }, 'bad'],
  ])('takes %s from a JSON result', (_, report, message) => {
    const pod = failedPod(ended(65, JSON.stringify(report)));
    expect(podsOfJobFrom([pod]).result).toMatchObject({ message });
  });

  test('listens to the contract container', () => {
    const pod = aPod({
      phase: 'Failed',
      containers: ['proxy', 'worker'],
      annotations: { 'kubectl.kubernetes.io/default-container': 'worker' },
      status: { containerStatuses: [ended(1, 'noise', 'proxy'), ended(65, 'signal', 'worker')] },
    });
    expect(podsOfJobFrom([pod]).result).toMatchObject({ exitCode: 65, message: 'signal' });
  });

  test('listens to the newest pod', () => {
    const status = (code: number) => ({ containerStatuses: [ended(code)] });
    const older = aPod({ phase: 'Failed', created: '2026-01-01T11:00:00Z', status: status(1) });
    const newer = aPod({ phase: 'Failed', created: '2026-01-01T12:00:00Z', status: status(75) });
    expect(podsOfJobFrom([older, newer]).result?.exitCode).toBe(75);
    expect(podsOfJobFrom([newer, older]).result?.exitCode).toBe(75);
  });

  test("tells Kubernetes' own reason when the container never ended", () => {
    const pod = aPod({ phase: 'Failed', status: { reason: 'Evicted', message: 'low on memory' } });
    expect(podsOfJobFrom([pod]).result).toEqual({
      exitCode: undefined,
      reason: 'Evicted',
      message: 'low on memory',
    });
  });

  test('keeps at most 1,024 characters', () => {
    expect(podsOfJobFrom([failedPod(ended(1, 'x'.repeat(4_096)))]).result?.message).toHaveLength(1_024);
  });

  test.each([
    ['a status of another shape', { metadata: { name: 'p' }, status: 'odd', spec: 'odd' }],
    ['nothing but a name', { metadata: { name: 'p' } }],
  ])('reads a pod with %s as one that may run', (_, pod) => {
    expect(podsOfJobFrom([pod])).toEqual({
      running: 1,
      terminating: 0,
      neverStarted: false,
      result: undefined,
      resultOfIndex: new Map(),
    });
  });
});

describe('resultFromFailure', () => {
  const policy = (code: number) =>
    `Container worker for pod a/b failed with exit code ${code} matching FailJob rule`;
  test.each([
    ['a contract code', { reason: 'PodFailurePolicy', message: policy(65) }, 65, 'DataError'],
    ['another code', { reason: 'PodFailurePolicy', message: policy(3) }, 3, 'PodFailurePolicy'],
    ['no code', { reason: 'DeadlineExceeded', message: 'too slow' }, undefined, 'DeadlineExceeded'],
    ['nothing', undefined, undefined, 'Failed'],
  ])('reads %s out of the Failed condition', (_, failure, exitCode, reason) => {
    expect(resultFromFailure(failure)).toMatchObject({ exitCode, reason });
  });
});
