/** The CustomResourceDefinition, built from the zod schema, the rules and the generated schema of a Job template. */

import { batchQueueSpecSchema } from './batch-queue.ts';
import jobTemplateJson from './job-template.generated.json' with { type: 'json' };
import { API_GROUP, API_VERSION, KIND } from './names.ts';
import { RULES } from './rules.ts';
import { batchQueueStatusSchema } from './status.ts';
import { addRules, type StructuralSchema, structuralFromZod, withBounds } from './structural-schema.ts';

/** Lower-case plural of the resource, as it stands in API paths. */
const PLURAL = 'batchqueues';

interface PrinterColumn {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'date';
  readonly jsonPath: string;
  readonly description: string;
  /** 1 shows the column only with `-o wide`. */
  readonly priority?: 1;
}

const READY = '.status.conditions[?(@.type=="Ready")]';

/** `kubectl get batchqueues` must answer: is it draining, what is stuck, since when. */
const COLUMNS: readonly PrinterColumn[] = [
  {
    name: 'Ready',
    type: 'string',
    jsonPath: `${READY}.status`,
    description: 'Whether the BatchQueue works.',
  },
  {
    name: 'Waiting',
    type: 'integer',
    jsonPath: '.status.queue.visible',
    description: 'Messages waiting (approximate).',
  },
  {
    name: 'Active',
    type: 'integer',
    jsonPath: '.status.jobs.active',
    description: 'Jobs that hold a message.',
  },
  {
    name: 'Max',
    type: 'integer',
    jsonPath: '.spec.maxConcurrentJobs',
    description: 'How many Jobs may run at once.',
  },
  {
    name: 'Dead',
    type: 'integer',
    jsonPath: '.status.queue.deadLetter',
    description: 'Messages in the dead-letter queue (approximate).',
  },
  {
    name: 'Oldest',
    type: 'date',
    jsonPath: '.status.jobs.oldestMessageTime',
    description: 'Age of the oldest message held by a Job.',
  },
  {
    name: 'Revision',
    type: 'integer',
    jsonPath: '.status.revision.current',
    description: 'Revision of new Jobs.',
  },
  {
    name: 'Age',
    type: 'date',
    jsonPath: '.metadata.creationTimestamp',
    description: 'Age of the BatchQueue.',
  },
  {
    name: 'Reason',
    type: 'string',
    jsonPath: `${READY}.reason`,
    description: 'Why it is (not) ready.',
    priority: 1,
  },
  {
    name: 'Message',
    type: 'string',
    jsonPath: `${READY}.message`,
    description: 'The same in words.',
    priority: 1,
  },
  {
    name: 'Pinned',
    type: 'integer',
    jsonPath: '.status.revision.pinned',
    description: 'Revision that `spec.revision` pins.',
    priority: 1,
  },
  {
    name: 'Image',
    type: 'string',
    jsonPath: '.status.revision.image',
    description: 'Image of new Jobs.',
    priority: 1,
  },
  {
    name: 'Last Success',
    type: 'date',
    jsonPath: '.status.lastSuccessTime',
    description: 'When a Job last succeeded.',
    priority: 1,
  },
];

/** The CustomResourceDefinition as an object ready to be written as YAML or JSON; a new one with every call. */
export function buildCustomResourceDefinition(): object {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${PLURAL}.${API_GROUP}` },
    spec: {
      group: API_GROUP,
      scope: 'Namespaced',
      names: {
        kind: KIND,
        listKind: `${KIND}List`,
        plural: PLURAL,
        singular: KIND.toLowerCase(),
        shortNames: ['bq'],
        categories: [KIND.toLowerCase()],
      },
      versions: [
        {
          name: API_VERSION,
          served: true,
          storage: true,
          additionalPrinterColumns: COLUMNS,
          subresources: {
            status: {},
            scale: {
              specReplicasPath: '.spec.maxConcurrentJobs',
              statusReplicasPath: '.status.jobs.active',
            },
          },
          schema: { openAPIV3Schema: buildSchema() },
        },
      ],
    },
  };
}

/** The schema of a whole BatchQueue, rules included; a new one with every call. */
export function buildSchema(): StructuralSchema {
  const schema: StructuralSchema = {
    type: 'object',
    description:
      'BatchQueue runs each message of an SQS queue as one Job: it deletes the message when the Job succeeds and gives it back when the Job fails.',
    required: ['spec'],
    properties: {
      apiVersion: { type: 'string', description: 'Version of the API.' },
      kind: { type: 'string', description: 'Kind of the object.' },
      metadata: { type: 'object' },
      spec: buildSpecSchema(),
      status: {
        ...structuralFromZod(batchQueueStatusSchema),
        description: 'What the operator last saw and did. Written by the operator alone.',
      },
    },
  };
  addRules(schema, RULES);
  return schema;
}

function buildSpecSchema(): StructuralSchema {
  const spec = structuralFromZod(batchQueueSpecSchema);
  const read = spec.properties?.['jobTemplate'] ?? {};
  const jobTemplate: StructuralSchema = structuredClone<StructuralSchema>(jobTemplateJson);
  return {
    ...spec,
    description: 'What to read, what to run, and how many at once.',
    properties: {
      ...spec.properties,
      jobTemplate: {
        ...withBounds(jobTemplate, read),
        ...(read.description !== undefined && { description: read.description }),
      },
    },
  };
}
