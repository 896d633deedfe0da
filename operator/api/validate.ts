/**
 * From the JSON of a BatchQueue to a typed one, by the same schema and rules that the CRD is generated from. The API server
 * has checked objects already; this is for objects stored under an older CRD, for tests and for tools.
 */

import type { z } from 'zod';
import type { KubeObject, ObjectMeta } from '../ports.ts';
import {
  type BatchQueue,
  type BatchQueueSpec,
  type BatchQueueStatus,
  batchQueueSpecSchema,
} from './batch-queue.ts';
import { type FieldProblem, problemFromIssue } from './field-problem.ts';
import { isJobTemplate } from './job-template.ts';
import { fieldOf, isJsonObject, type JsonObject, withoutNullFields } from './json.ts';
import { RULES } from './rules.ts';
import { batchQueueStatusSchema } from './status.ts';

export type ParsedBatchQueue =
  | { readonly ok: true; readonly queue: BatchQueue }
  | { readonly ok: false; readonly problems: readonly FieldProblem[] };

/**
 * Checks everything and reports all problems at once, or gives the BatchQueue with every default applied. Never throws.
 * Fields that this version does not know are left out, except in `jobTemplate`, which is passed on as it is. Fields that are
 * null count as not set. A status that cannot be read is as good as none: it can be recomputed.
 */
export function parseBatchQueue(object: unknown): ParsedBatchQueue {
  if (!isJsonObject(object)) return { ok: false, problems: [{ path: '', message: 'must be an object' }] };
  const { metadata, status } = object;
  const spec = withoutNullFields(object['spec']);
  const parsed = batchQueueSpecSchema.safeParse(spec);
  const effective = parsed.success ? parsed.data : withReadableFields(spec);
  const problems = [
    ...problemsOfMetadata(metadata),
    ...(parsed.success ? [] : parsed.error.issues.map((issue) => problemFromIssue(issue, spec))),
    ...problemsOfRules({ ...object, spec: effective }),
  ];
  if (problems.length > 0 || !parsed.success || !isObjectMeta(metadata))
    return { ok: false, problems: distinct(problems) };
  return { ok: true, queue: queueOf(metadata, withRawTemplate(parsed.data, spec), status) };
}

/** The same for an object whose spec has been parsed before: what else is in it is read anew. */
export function withSpecOf(known: ParsedBatchQueue, { metadata, status }: KubeObject): ParsedBatchQueue {
  return known.ok ? { ok: true, queue: queueOf(metadata, known.queue.spec, status) } : known;
}

/** The status, which is long and changes often, is read when somebody asks for it, which few turns do. */
function queueOf(metadata: ObjectMeta, spec: BatchQueueSpec, status: unknown): BatchQueue {
  let read: { readonly status: BatchQueueStatus | undefined } | undefined;
  return {
    metadata,
    spec,
    get status() {
      read ??= { status: batchQueueStatusSchema.safeParse(status).data };
      return read.status;
    },
  };
}

function distinct(problems: readonly FieldProblem[]): FieldProblem[] {
  return [...new Map(problems.map((problem) => [`${problem.path} ${problem.message}`, problem])).values()];
}

/** The template as it came, key order included: a revision is a hash of it. */
function withRawTemplate(spec: BatchQueueSpec, raw: unknown): BatchQueueSpec {
  const jobTemplate = fieldOf(raw, 'jobTemplate');
  return isJobTemplate(jobTemplate) ? { ...spec, jobTemplate } : spec;
}

function problemsOfMetadata(metadata: unknown): FieldProblem[] {
  if (!isJsonObject(metadata)) return [{ path: 'metadata', message: 'is required and must be an object' }];
  if (!isObjectMeta(metadata))
    return [{ path: 'metadata.name', message: 'is required and must be a string' }];
  return [];
}

function isObjectMeta(metadata: unknown): metadata is ObjectMeta {
  return isJsonObject(metadata) && typeof metadata['name'] === 'string';
}

/** A spec with something wrong in it, with the defaults of those fields that are right, so that rules see what the API server's see. */
function withReadableFields(spec: unknown): unknown {
  if (!isJsonObject(spec)) return spec;
  const fields: Readonly<Record<string, z.ZodType>> = batchQueueSpecSchema.shape;
  const readable = Object.entries(fields).map(([name, schema]) => {
    const parsed = schema.safeParse(spec[name]);
    return [name, parsed.success ? parsed.data : spec[name]];
  });
  return Object.fromEntries(readable);
}

function problemsOfRules(root: JsonObject): FieldProblem[] {
  return RULES.flatMap(({ at, field, message, holds }) =>
    valuesAt(root, at)
      .filter(({ value }) => !holds(value))
      .map(({ path }) => ({ path: [path, field].filter(Boolean).join('.'), message })),
  );
}

interface Located {
  readonly path: string;
  readonly value: unknown;
}

/** Every value that is there at a path of fields and `[]`, with its own path. */
function valuesAt(root: unknown, path: string): Located[] {
  let located: Located[] = [{ path: '', value: root }];
  for (const segment of path.split('.').filter((part) => part !== '')) {
    const name = segment.replace('[]', '');
    located = located.flatMap((parent) => childOf(parent, name));
    if (segment.endsWith('[]')) located = located.flatMap(elementsOf);
  }
  return located;
}

function childOf({ path, value }: Located, name: string): Located[] {
  if (!isJsonObject(value) || value[name] === undefined) return [];
  return [{ path: path === '' ? name : `${path}.${name}`, value: value[name] }];
}

function elementsOf({ path, value }: Located): Located[] {
  const elements: unknown[] = Array.isArray(value) ? value : [];
  return elements.map((element, index) => ({ path: `${path}[${index}]`, value: element }));
}

export type { FieldProblem } from './field-problem.ts';
