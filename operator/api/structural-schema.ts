/**
 * Structural schemas: the dialect of OpenAPI that a CustomResourceDefinition accepts. No references, no unions, every
 * value has a type, integers have a format.
 */

import { z } from 'zod';
import { isJsonObject, type JsonObject } from './json.ts';
import type { Rule } from './rule.ts';

/** A structural schema, with the keys that this program writes. */
export interface StructuralSchema {
  type?: string;
  description?: string;
  format?: string;
  default?: unknown;
  enum?: unknown[];
  nullable?: boolean;
  pattern?: string;
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  minItems?: number;
  maxItems?: number;
  maxProperties?: number;
  required?: string[];
  items?: StructuralSchema;
  properties?: Record<string, StructuralSchema>;
  additionalProperties?: StructuralSchema;
  'x-kubernetes-int-or-string'?: boolean;
  'x-kubernetes-preserve-unknown-fields'?: boolean;
  'x-kubernetes-list-type'?: string;
  'x-kubernetes-list-map-keys'?: string[];
  'x-kubernetes-map-type'?: string;
  'x-kubernetes-validations'?: Validation[];
}

/** One CEL rule as the CRD carries it. */
interface Validation {
  rule: string;
  message: string;
  reason?: string;
  fieldPath?: string;
}

const MAX_INT32 = 2 ** 31 - 1;
const MIN_INT32 = -(2 ** 31);

/** Numbers are integers: Kubernetes API conventions ask to avoid floating point. */
const STRUCTURAL_TYPES = new Set<unknown>(['object', 'array', 'string', 'integer', 'boolean']);

const HANDLED_APART = new Set(['properties', 'items', 'additionalProperties', 'minimum', 'maximum']);

/** Bounds that `withBounds` carries from one schema to another. */
const BOUNDS = [
  'minimum',
  'maximum',
  'minLength',
  'maxLength',
  'minItems',
  'maxItems',
  'maxProperties',
] as const;

/**
 * What a user may write according to a zod schema (defaulted fields are optional), as a structural schema. Throws for
 * constructs that structural schemas do not know, with the path of the first one. Refinements and transformations of the
 * zod schema are not seen: state them as rules.
 */
export function structuralFromZod(schema: z.ZodType): StructuralSchema {
  const json: unknown = z.toJSONSchema(schema, { target: 'openapi-3.0', io: 'input' });
  return structuralFrom(json, '');
}

function structuralFrom(json: unknown, path: string): StructuralSchema {
  if (!isJsonObject(json) || !STRUCTURAL_TYPES.has(json['type'])) {
    throw new TypeError(
      `${path || 'the schema'} is not of one type that this API uses, so it is not structural`,
    );
  }
  const { properties, items, additionalProperties } = json;
  const plain = Object.entries(json).filter(([key]) => !HANDLED_APART.has(key));
  const schema: StructuralSchema = { ...Object.fromEntries(plain), ...numberBounds(json) };
  if (isJsonObject(items)) schema.items = structuralFrom(items, `${path}[]`);
  if (isJsonObject(properties)) {
    schema.properties = mapValues(properties, (child, name) => structuralFrom(child, `${path}.${name}`));
  }
  if (isJsonObject(additionalProperties) && Object.keys(additionalProperties).length > 0) {
    schema.additionalProperties = structuralFrom(additionalProperties, `${path}.*`);
  }
  return schema;
}

/** zod bounds every integer by what JavaScript can count; such a bound says nothing to a user. */
function numberBounds(json: JsonObject): StructuralSchema {
  if (json['type'] !== 'integer') return {};
  const [minimum, maximum] = [Number(json['minimum']), Number(json['maximum'])];
  const small = minimum >= MIN_INT32 && maximum <= MAX_INT32;
  return {
    format: small ? 'int32' : 'int64',
    ...(Number.isSafeInteger(minimum - 1) && { minimum }),
    ...(Number.isSafeInteger(maximum + 1) && { maximum }),
  };
}

/** A copy of `schema` that has the bounds of `bounds` wherever both have a node; other nodes stay as they are. */
export function withBounds(schema: StructuralSchema, bounds: StructuralSchema): StructuralSchema {
  const copy: StructuralSchema = { ...schema };
  for (const key of BOUNDS) {
    const bound = bounds[key];
    if (bound !== undefined) copy[key] = bound;
  }
  if (schema.items && bounds.items) copy.items = withBounds(schema.items, bounds.items);
  if (schema.additionalProperties && bounds.additionalProperties) {
    copy.additionalProperties = withBounds(schema.additionalProperties, bounds.additionalProperties);
  }
  if (schema.properties && bounds.properties) {
    const bounded = bounds.properties;
    copy.properties = mapValues(schema.properties, (child, name) => {
      const bound = bounded[name];
      return bound === undefined ? child : withBounds(child, bound);
    });
  }
  return copy;
}

/** Writes each rule at its place into `root`. Throws when a rule stands at a place the schema does not have. */
export function addRules(root: StructuralSchema, rules: readonly Rule[]): void {
  for (const rule of rules) {
    const node = schemaAt(root, rule.at);
    if (node === undefined) throw new TypeError(`rule at ${rule.at}: the schema has no such field`);
    node['x-kubernetes-validations'] = [...(node['x-kubernetes-validations'] ?? []), validationFrom(rule)];
  }
}

/** The API server takes no field path from the root: `metadata` has no schema there. */
function validationFrom(rule: Rule): Validation {
  const { at, cel, message, reason, field } = rule;
  return {
    rule: cel,
    message,
    ...(reason !== undefined && { reason }),
    ...(field !== undefined && at !== '' && { fieldPath: `.${field}` }),
  };
}

/** The schema of a path such as `spec.jobTemplate.spec.template.spec.containers[].env[]`, or undefined. */
export function schemaAt(root: StructuralSchema, path: string): StructuralSchema | undefined {
  let node: StructuralSchema | undefined = root;
  for (const segment of path.split('.').filter((part) => part !== '')) {
    const name = segment.replace('[]', '');
    node = node?.properties?.[name];
    if (segment.endsWith('[]')) node = node?.items;
  }
  return node;
}

function mapValues<From, To>(
  record: Readonly<Record<string, From>>,
  change: (value: From, name: string) => To,
): Record<string, To> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, change(value, name)]));
}
