import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { z } from 'zod';
import type { BatchQueue } from '../../../operator/api/batch-queue.ts';
import { ANNOTATION_MESSAGES } from '../../../operator/api/names.ts';
import { buildJob, contractContainer } from '../../../operator/plan/job.ts';
import { ledgerOf, parseLedger } from '../../../operator/plan/ledger.ts';
import type { Message } from '../../../operator/plan/message.ts';
import { buildMessagesFile, traceparentOf } from '../../../operator/plan/messages-file.ts';
import { aMessage, aQueue, aRevision, MESSAGE_ID, QUEUE } from '../../support/builders.ts';

const containerSchema = z.looseObject({
  name: z.string(),
  env: z.array(z.looseObject({ name: z.string(), value: z.string().optional() })),
  volumeMounts: z.array(z.looseObject({ name: z.string(), mountPath: z.string() })),
});

/** What the tests read of a Job. */
const jobSchema = z.looseObject({
  metadata: z.looseObject({
    labels: z.record(z.string(), z.string()),
    annotations: z.record(z.string(), z.string()),
  }),
  spec: z.looseObject({
    podFailurePolicy: z.unknown(),
    template: z.looseObject({
      metadata: z.looseObject({
        labels: z.record(z.string(), z.string()),
        annotations: z.record(z.string(), z.string()),
      }),
      spec: z.looseObject({
        containers: z.array(containerSchema),
        initContainers: z.array(containerSchema).optional(),
        volumes: z.array(z.looseObject({ name: z.string() })),
      }),
    }),
  }),
});

function jobFor(queue: BatchQueue, message: Message = aMessage(), attempt = 1) {
  return jobOf(queue, [message], attempt);
}

function jobOf(queue: BatchQueue, messages: readonly Message[], attempt = 1, run = 1) {
  return buildJob({
    queue,
    revision: aRevision(queue, 4),
    ledger: ledgerOf(messages, { attempt, run, visibilityTimeoutSeconds: 300 }),
    payload: { inline: buildMessagesFile(messages, attempt), secrets: [] },
    traceparent: messages[0] && traceparentOf(messages[0]),
  });
}

function readJob(queue: BatchQueue, message?: Message, attempt?: number) {
  return jobSchema.parse(jobFor(queue, message, attempt));
}

function environmentOf(container: z.output<typeof containerSchema> | undefined): Record<string, unknown> {
  return Object.fromEntries((container?.env ?? []).map(({ name, value }) => [name, value]));
}

describe('buildJob', () => {
  test('is the same for everybody who builds it', () => {
    expect(jobFor(aQueue())).toEqual(jobFor(aQueue()));
  });

  test('belongs to the BatchQueue, owes a settlement and remembers its message', () => {
    const job = jobFor(aQueue(), aMessage({ receiveCount: 2 }), 2);
    expect(job.metadata).toMatchObject({
      namespace: 'shop',
      finalizers: ['batchqueue.io/settlement'],
      ownerReferences: [
        {
          apiVersion: 'batchqueue.io/v1alpha1',
          kind: 'BatchQueue',
          name: 'orders',
          uid: 'queue-uid',
          controller: true,
        },
      ],
      labels: {
        'batchqueue.io/queue': 'orders',
        'batchqueue.io/revision': '4',
        'batchqueue.io/attempt': '2',
        'batchqueue.io/message-id': MESSAGE_ID,
      },
      annotations: { 'batchqueue.io/revision': '4', 'batchqueue.io/image': 'worker:1' },
    });
    const { id, receiptHandle, receiveCount, sentAtMs, receivedAtMs } = aMessage({ receiveCount: 2 });
    expect(parseLedger(job)).toEqual({
      queue: QUEUE,
      attempt: 2,
      run: 1,
      visibilityTimeoutSeconds: 300,
      messages: [{ id, receiptHandle, receiveCount, sentAtMs, receivedAtMs }],
    });
  });

  test('has no label for a message id that Kubernetes would not take as one', () => {
    const { metadata } = jobFor(aQueue(), aMessage({ id: 'x'.repeat(64) }));
    expect(Object.keys(metadata.labels ?? {})).not.toContain('batchqueue.io/message-id');
  });

  test('leaves retries to the operator and disruptions to the Job controller', () => {
    const { spec } = readJob(aQueue());
    expect(spec).toMatchObject({
      backoffLimit: 0,
      template: { spec: { restartPolicy: 'Never' } },
      podFailurePolicy: {
        rules: [
          { action: 'Ignore', onPodConditions: [{ type: 'DisruptionTarget', status: 'True' }] },
          { action: 'FailJob', onExitCodes: { containerName: 'worker', operator: 'In', values: [65] } },
          { action: 'FailJob', onExitCodes: { containerName: 'worker', operator: 'In', values: [75] } },
          { action: 'FailJob', onExitCodes: { containerName: 'worker', operator: 'In', values: [78] } },
        ],
      },
    });
  });

  test('has pods of an index replaced that their node refuses, and only those', () => {
    const template = { spec: { containers: [{ name: 'main', image: 'worker:1' }] } };
    const queue = aQueue({ spec: { jobTemplate: { spec: { completionMode: 'Indexed', template } } } });
    const { spec } = readJob(queue);
    expect(spec).toMatchObject({ completions: 1, backoffLimitPerIndex: 6 });
    expect(Object(spec.podFailurePolicy).rules.at(-1)).toEqual({
      action: 'FailIndex',
      onExitCodes: { operator: 'NotIn', values: [0] },
    });
  });

  test('keeps what the user wrote, also fields that the operator does not know', () => {
    const queue = aQueue({
      podMetadata: { labels: { team: 'shop' }, annotations: { note: 'mine' } },
      pod: {
        nodeSelector: { disk: 'ssd' },
        volumes: [{ name: 'cache', emptyDir: {} }],
        imagePullSecrets: [{ name: 'own' }],
        containers: [
          {
            name: 'worker',
            image: 'worker:1',
            resources: { limits: { cpu: '1' } },
            env: [{ name: 'LEVEL', value: 'debug' }],
            volumeMounts: [{ name: 'cache', mountPath: '/cache' }],
          },
        ],
      },
      spec: { imagePullSecret: { name: 'regcred' }, serviceAccountName: 'ecr-sa' },
    });
    const { template } = readJob(queue).spec;
    expect(template.metadata.labels).toMatchObject({ team: 'shop', 'batchqueue.io/queue': 'orders' });
    expect(template.metadata.annotations).toMatchObject({ note: 'mine' });
    expect(template.spec).toMatchObject({
      nodeSelector: { disk: 'ssd' },
      serviceAccountName: 'ecr-sa',
      imagePullSecrets: [{ name: 'own' }, { name: 'regcred' }],
    });
    expect(template.spec.volumes.map(({ name }) => name)).toEqual(['cache', 'batchqueue-messages']);
    const [container] = template.spec.containers;
    expect(container).toMatchObject({ resources: { limits: { cpu: '1' } } });
    expect(environmentOf(container)).toMatchObject({ LEVEL: 'debug' });
    expect(container?.volumeMounts).toContainEqual({ name: 'cache', mountPath: '/cache' });
  });

  test('names a pull secret once although the template names it too', () => {
    const queue = aQueue({
      pod: { containers: [{ name: 'worker', image: 'w' }], imagePullSecrets: [{ name: 'regcred' }] },
      spec: { imagePullSecret: { name: 'regcred' } },
    });
    expect(readJob(queue).spec.template.spec).toMatchObject({ imagePullSecrets: [{ name: 'regcred' }] });
  });

  test('overrides reserved labels and annotations that a template brings', () => {
    const reserved = { 'batchqueue.io/queue': 'other', 'batchqueue.io/message-id': 'other' };
    const queue = aQueue({
      podMetadata: { labels: reserved, annotations: { [ANNOTATION_MESSAGES]: 'forged' } },
      spec: {
        jobTemplate: {
          metadata: { labels: reserved, annotations: { 'batchqueue.io/ledger': 'forged' } },
          spec: {
            backoffLimit: 6,
            template: {
              metadata: { labels: reserved, annotations: { [ANNOTATION_MESSAGES]: 'forged' } },
              spec: { restartPolicy: 'OnFailure', containers: [{ name: 'worker', image: 'w' }] },
            },
          },
        },
      },
    });
    const { metadata, spec } = readJob(queue);
    expect(metadata.labels['batchqueue.io/queue']).toBe('orders');
    expect(metadata.annotations['batchqueue.io/ledger']).not.toBe('forged');
    expect(spec.template.metadata.labels['batchqueue.io/message-id']).toBe(MESSAGE_ID);
    expect(spec.template.metadata.annotations[ANNOTATION_MESSAGES]).not.toBe('forged');
    expect(spec).toMatchObject({ backoffLimit: 0, template: { spec: { restartPolicy: 'Never' } } });
  });

  test('gives the contract to every container, init containers included', () => {
    const queue = aQueue({
      pod: {
        containers: [
          { name: 'worker', image: 'w' },
          { name: 'sidecar', image: 's' },
        ],
        initContainers: [{ name: 'prepare', image: 'p' }],
      },
      spec: { storage: { claimName: 'efs-claim', mountPath: '/efs', subPath: 'orders' } },
    });
    const { spec } = readJob(queue, aMessage(), 2).spec.template;
    const containers = [...spec.containers, ...(spec.initContainers ?? [])];
    expect(containers.map(({ name }) => name)).toEqual(['worker', 'sidecar', 'prepare']);
    for (const container of containers) {
      expect(environmentOf(container)).toEqual({
        BATCHQUEUE_MESSAGES_FILE: '/var/run/batchqueue/messages.json',
        BATCHQUEUE_STORAGE_PATH: '/efs',
        SQS_QUEUE_URL: QUEUE.url,
        BATCHQUEUE_NAME: 'orders',
        BATCHQUEUE_NAMESPACE: 'shop',
        BATCHQUEUE_REVISION: '4',
        BATCHQUEUE_ATTEMPT: '2',
      });
      expect(container.volumeMounts).toEqual([
        { name: 'batchqueue-messages', mountPath: '/var/run/batchqueue', readOnly: true },
        { name: 'batchqueue-storage', mountPath: '/efs', subPath: 'orders' },
      ]);
    }
    expect(spec.volumes).toEqual([
      {
        name: 'batchqueue-messages',
        projected: {
          sources: [
            {
              downwardAPI: {
                items: [
                  {
                    path: 'messages.json',
                    fieldRef: { fieldPath: "metadata.annotations['batchqueue.io/messages']" },
                  },
                ],
              },
            },
          ],
        },
      },
      { name: 'batchqueue-storage', persistentVolumeClaim: { claimName: 'efs-claim' } },
    ]);
  });

  test('without storage adds neither its volume nor its variable', () => {
    const { spec } = readJob(aQueue()).spec.template;
    expect(spec.volumes.map(({ name }) => name)).toEqual(['batchqueue-messages']);
    expect(environmentOf(spec.containers[0])).not.toHaveProperty('BATCHQUEUE_STORAGE_PATH');
  });

  test("keeps the user's own SQS_QUEUE_URL, in the container that sets it only", () => {
    const env = [{ name: 'SQS_QUEUE_URL', value: 'https://elsewhere' }];
    const queue = aQueue({ pod: { containers: [{ name: 'a', env }, { name: 'b' }] } });
    const [own, other] = readJob(queue).spec.template.spec.containers;
    expect(own?.env.filter(({ name }) => name === 'SQS_QUEUE_URL')).toEqual(env);
    expect(environmentOf(other)).toMatchObject({ SQS_QUEUE_URL: QUEUE.url });
  });

  test('passes a well-formed trace context on', () => {
    const stringValue = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const message = aMessage({ messageAttributes: { traceparent: { dataType: 'String', stringValue } } });
    const [container] = readJob(aQueue(), message).spec.template.spec.containers;
    expect(environmentOf(container)).toMatchObject({ TRACEPARENT: stringValue });
  });

  test('shows no text of a sender anywhere but in the messages annotation', () => {
    // Marked, so that finding it elsewhere is no coincidence; the rest is what injections are made of.
    const hostile = fc
      .tuple(
        fc.string({ unit: 'binary' }),
        fc.constantFrom('$(HOME)', '${X}', '"},{"', '{{.}}', '../..', '\n'),
      )
      .map(([text, extra]) => `MARK${extra}${text}`);
    const attribute = fc.record({ dataType: fc.constant('String'), stringValue: hostile });
    const attributes = fc.dictionary(hostile, attribute, { maxKeys: 3 });
    fc.assert(
      fc.property(hostile, attributes, attribute, (body, sent, traceparent) => {
        const messageAttributes = { ...sent, traceparent };
        const message = aMessage({
          body,
          messageAttributes,
          attributes: { AWSTraceHeader: body, SenderId: body },
        });
        const job = readJob(aQueue({ spec: { storage: { claimName: 'c', mountPath: '/efs' } } }), message);
        const messages = job.spec.template.metadata.annotations[ANNOTATION_MESSAGES];
        expect(messages).toContain('MARK');
        delete job.spec.template.metadata.annotations[ANNOTATION_MESSAGES];
        expect(JSON.stringify(job)).not.toContain('MARK');
      }),
    );
  });
});

describe('contractContainer', () => {
  const containers = [{ name: 'first' }, { name: 'second' }];
  const named = (name: string) => ({ annotations: { 'kubectl.kubernetes.io/default-container': name } });
  test.each([
    ['is the first container', undefined, 'first'],
    ['is the one that kubectl shows by default', named('second'), 'second'],
    ['is the first one when the annotation names none of them', named('third'), 'first'],
  ])('%s', (_, podMetadata, expected) => {
    const queue = aQueue({ pod: { containers }, ...(podMetadata && { podMetadata }) });
    expect(contractContainer(queue.spec.jobTemplate).name).toBe(expected);
  });
});
