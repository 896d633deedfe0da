import { describe, expect, test } from '@jest/globals';
import { stripPod } from '../../../operator/kube/pod-strip.ts';
import type { KubeObject } from '../../../operator/ports.ts';

const POD: KubeObject = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: {
    name: 'orders-abc-x1',
    namespace: 'shop',
    uid: 'pod-uid',
    resourceVersion: '7',
    creationTimestamp: '2026-11-27T02:54:32Z',
    generateName: 'orders-abc-',
    labels: { 'batchqueue.io/queue': 'orders', 'batch.kubernetes.io/job-name': 'orders-abc', team: 'a' },
    annotations: {
      'batchqueue.io/messages': 'x'.repeat(32_768),
      'kubectl.kubernetes.io/default-container': 'worker',
      note: 'y'.repeat(1_000),
    },
    ownerReferences: [{ apiVersion: 'batch/v1', kind: 'Job', name: 'orders-abc', uid: 'job-uid' }],
    managedFields: [{ manager: 'kube-controller-manager' }],
  },
  spec: {
    nodeName: 'node',
    containers: [{ name: 'worker', image: 'worker:1', env: [{ name: 'SECRET', value: 'canary' }] }],
    volumes: [{ name: 'kube-api-access' }],
  },
  status: {
    phase: 'Running',
    podIP: '10.0.0.1',
    conditions: [{ type: 'PodScheduled', status: 'True' }],
    containerStatuses: [
      { name: 'worker', imageID: 'sha256:1', state: { running: { startedAt: '2026-11-27T02:54:33Z' } } },
    ],
  },
};

describe('what is kept of a pod', () => {
  test('is whose it is and how it is', () => {
    expect(stripPod(POD)).toEqual({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: {
        name: 'orders-abc-x1',
        namespace: 'shop',
        uid: 'pod-uid',
        resourceVersion: '7',
        creationTimestamp: '2026-11-27T02:54:32Z',
        labels: { 'batchqueue.io/queue': 'orders', 'batch.kubernetes.io/job-name': 'orders-abc' },
        annotations: { 'kubectl.kubernetes.io/default-container': 'worker' },
        ownerReferences: [{ apiVersion: 'batch/v1', kind: 'Job', name: 'orders-abc', uid: 'job-uid' }],
      },
      spec: { containers: [{ name: 'worker' }] },
      status: {
        phase: 'Running',
        conditions: [{ type: 'PodScheduled', status: 'True' }],
        initContainerStatuses: [],
        containerStatuses: [{ name: 'worker', state: { running: { startedAt: '2026-11-27T02:54:33Z' } } }],
      },
    });
  });

  test('takes less than two kilobytes, whatever the messages are', () => {
    expect(JSON.stringify(stripPod(POD)).length).toBeLessThan(2_048);
  });

  test('of a pod that has no status yet is no trouble', () => {
    expect(stripPod({ metadata: { name: 'new' } })).toEqual({
      metadata: { name: 'new', labels: {}, annotations: {} },
      spec: { containers: [] },
      status: { initContainerStatuses: [], containerStatuses: [] },
    });
  });

  test('is the same when it is stripped again', () => {
    expect(stripPod(stripPod(POD))).toEqual(stripPod(POD));
  });
});
