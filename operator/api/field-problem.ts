/** What is wrong with a field, in the words of this API: what is allowed, then what was got. */

import type { z } from 'zod';
import { batchQueueSpecSchema } from './batch-queue.ts';
import { isJsonObject } from './json.ts';
import { type StructuralSchema, structuralFromZod } from './structural-schema.ts';

/** One thing wrong with a BatchQueue. */
export interface FieldProblem {
  /** As the API server writes it: `spec.retry.minBackoffSeconds`, `spec.jobTemplate.spec.template.spec.containers[0].image`. */
  readonly path: string;
  /** What is allowed, and the value got where that is a number: `must be 1..43200, got 0`. */
  readonly message: string;
}

type Path = readonly PropertyKey[];

const SPEC_SCHEMA = structuralFromZod(batchQueueSpecSchema);

/**
 * The problem behind one issue that zod found in `spec`. The text comes from the schema rather than from zod, so that it
 * names the whole range. Strings of the user are not repeated.
 */
export function problemFromIssue(issue: z.core.$ZodIssue, spec: unknown): FieldProblem {
  const path = issue.path.map((segment) =>
    typeof segment === 'number' ? `[${segment}]` : `.${String(segment)}`,
  );
  const message =
    issue.code === 'custom' ? issue.message : expectation(schemaOf(issue.path), valueOf(spec, issue.path));
  return { path: `spec${path.join('')}`, message };
}

function expectation(schema: StructuralSchema | undefined, value: unknown): string {
  if (value === undefined) return 'is required';
  switch (schema?.type) {
    case 'integer':
      return `${integerText(schema, value)}, got ${typeof value === 'number' ? value : typeNameOf(value)}`;
    case 'string':
      if (typeof value !== 'string') return `must be a string, got ${typeNameOf(value)}`;
      return `must be at most ${schema.maxLength} characters, got ${value.length}`;
    case 'array':
      if (!Array.isArray(value)) return `must be a list, got ${typeNameOf(value)}`;
      return `must have at most ${schema.maxItems} items, got ${value.length}`;
    default:
      return `must be ${schema?.type === 'object' ? 'an object' : `a ${schema?.type}`}, got ${typeNameOf(value)}`;
  }
}

function integerText({ minimum, maximum }: StructuralSchema, value: unknown): string {
  const range = minimum === maximum ? `${minimum}` : `${minimum}..${maximum}`;
  return Number.isInteger(value) ? `must be ${range}` : `must be an integer, ${range}`;
}

function typeNameOf(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'a list' : `${typeof value === 'object' ? 'an' : 'a'} ${typeof value}`;
}

function schemaOf(path: Path): StructuralSchema | undefined {
  let node: StructuralSchema | undefined = SPEC_SCHEMA;
  for (const segment of path) {
    node =
      typeof segment === 'number'
        ? node?.items
        : (node?.properties?.[String(segment)] ?? node?.additionalProperties);
  }
  return node;
}

function valueOf(spec: unknown, path: Path): unknown {
  let value = spec;
  for (const segment of path) {
    if (Array.isArray(value)) value = value[Number(segment)];
    else value = isJsonObject(value) ? value[String(segment)] : undefined;
  }
  return value;
}
