import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { z } from 'zod';
import {
  buildCustomResourceDefinition,
  buildSchema,
} from '../../../operator/api/custom-resource-definition.ts';
import { RULES } from '../../../operator/api/rules.ts';
import {
  type StructuralSchema,
  schemaAt,
  structuralFromZod,
} from '../../../operator/api/structural-schema.ts';
import { crdYaml } from '../../../scripts/crd-yaml.ts';

/** kubectl apply stores the object in an annotation; all annotations of an object together may have this many bytes. */
const MAX_ANNOTATIONS_BYTES = 262_144;
/** Keys of OpenAPI that a structural schema may not have, or that this one has no use for. */
const FOREIGN_KEYS = [
  '$ref',
  'allOf',
  'anyOf',
  'oneOf',
  'not',
  'x-kubernetes-patch-strategy',
  'x-kubernetes-unions',
];

interface Node {
  readonly path: string;
  readonly schema: StructuralSchema;
}

/** Every node of a schema, with its path. */
function nodesOf(schema: StructuralSchema, path = ''): Node[] {
  const { properties = {}, items, additionalProperties } = schema;
  return [
    { path, schema },
    ...Object.entries(properties).flatMap(([name, child]) => nodesOf(child, `${path}.${name}`)),
    ...(items ? nodesOf(items, `${path}[]`) : []),
    ...(additionalProperties ? nodesOf(additionalProperties, `${path}.*`) : []),
  ];
}

const NODES = nodesOf(buildSchema());
const OUTSIDE_TEMPLATE = NODES.filter(
  ({ path }) => /^[.](spec|status)/.test(path) && !path.startsWith('.spec.jobTemplate.'),
);
const IN_TEMPLATE = NODES.filter(({ path }) => path.startsWith('.spec.jobTemplate.'));

/** Paths of the nodes that do not pass, so that a failure names them. */
function pathsWhere(nodes: readonly Node[], isWrong: (node: Node) => boolean): string[] {
  return nodes.filter(isWrong).map(({ path }) => path);
}

describe('the CustomResourceDefinition', () => {
  test('in crds/batchqueues.yaml is what the schema says', () => {
    const file = readFileSync(new URL('../../../crds/batchqueues.yaml', import.meta.url), 'utf8');
    expect(file === crdYaml()).toBe(true);
  });

  test('fits the annotation of kubectl apply with room to grow, as a file and as stored', () => {
    const stored = Buffer.byteLength(JSON.stringify(buildCustomResourceDefinition()));
    expect(stored).toBeLessThan(MAX_ANNOTATIONS_BYTES / 2);
    expect(Buffer.byteLength(crdYaml())).toBeLessThan(MAX_ANNOTATIONS_BYTES);
  });

  test('is structural: one type per value, no references, no unions', () => {
    const typed = ({ schema }: Node) =>
      schema.type !== undefined ||
      schema['x-kubernetes-int-or-string'] === true ||
      schema['x-kubernetes-preserve-unknown-fields'] === true;
    expect(pathsWhere(NODES, (node) => !typed(node))).toEqual([]);
    expect(pathsWhere(NODES, ({ schema }) => FOREIGN_KEYS.some((key) => key in schema))).toEqual([]);
  });

  test('describes every field of the spec outside the template', () => {
    const fields = OUTSIDE_TEMPLATE.filter(({ path }) => path.startsWith('.spec'));
    expect(pathsWhere(fields, ({ schema }) => schema.description === undefined)).toEqual([]);
  });

  test('bounds every text, list and number of the spec and the status', () => {
    const unbounded = ({ schema }: Node) => {
      if (schema.type === 'string') return schema.maxLength === undefined && schema.enum === undefined;
      if (schema.type === 'array') return schema.maxItems === undefined;
      return schema.type === 'integer' && schema.minimum === undefined;
    };
    expect(pathsWhere(OUTSIDE_TEMPLATE, unbounded)).toEqual([]);
    const numbers = OUTSIDE_TEMPLATE.filter(
      ({ path, schema }) => path.startsWith('.spec') && schema.type === 'integer',
    );
    expect(pathsWhere(numbers, ({ schema }) => schema.maximum === undefined)).toEqual([]);
  });

  test('carries the template without descriptions and without defaults, so that apply shows no drift', () => {
    expect(IN_TEMPLATE.length).toBeGreaterThan(500);
    expect(pathsWhere(IN_TEMPLATE, ({ schema }) => schema.description !== undefined)).toEqual([]);
    expect(pathsWhere(IN_TEMPLATE, ({ schema }) => 'default' in schema)).toEqual([]);
  });

  test('merges lists only by keys that every element must have', () => {
    const keyless = ({ schema }: Node) =>
      (schema['x-kubernetes-list-map-keys'] ?? []).some((key) => !schema.items?.required?.includes(key));
    expect(pathsWhere(NODES, keyless)).toEqual([]);
  });

  test('accepts a null creation time wherever a template has metadata', () => {
    const times = NODES.filter(({ path }) => path.endsWith('.creationTimestamp'));
    expect(times.length).toBeGreaterThanOrEqual(2);
    expect(pathsWhere(times, ({ schema }) => schema.nullable !== true)).toEqual([]);
  });

  test('holds every rule at its place, in the words of the rule', () => {
    const schema = buildSchema();
    for (const { at, cel, message } of RULES) {
      const validations = schemaAt(schema, at)?.['x-kubernetes-validations'];
      expect(validations).toContainEqual(expect.objectContaining({ rule: cel, message }));
    }
    const held = NODES.flatMap((node) => node.schema['x-kubernetes-validations'] ?? []);
    expect(held).toHaveLength(RULES.length);
  });

  test('gives a rule no line breaks, which the API server would refuse in a message', () => {
    expect(RULES.filter(({ message }) => /\s{2}|\n/.test(message))).toEqual([]);
  });
});

describe('a structural schema made from zod', () => {
  test('leaves defaulted and optional fields out of what is required', () => {
    const schema = structuralFromZod(
      z.object({ a: z.string(), b: z.string().default('x'), c: z.string().optional() }),
    );
    expect(schema.required).toEqual(['a']);
    expect(schema.properties?.['b']).toEqual({ type: 'string', default: 'x' });
  });

  test('gives integers a format and drops the bounds of what JavaScript can count', () => {
    expect(structuralFromZod(z.int())).toEqual({ type: 'integer', format: 'int64' });
    expect(structuralFromZod(z.int().min(0).max(Number.MAX_SAFE_INTEGER))).toMatchObject({
      format: 'int64',
      minimum: 0,
    });
    expect(structuralFromZod(z.int().min(0).max(9))).toEqual({
      type: 'integer',
      format: 'int32',
      minimum: 0,
      maximum: 9,
    });
  });

  test('keeps the types of maps and drops what loose and strict objects say of other fields', () => {
    expect(structuralFromZod(z.record(z.string(), z.int()))).toMatchObject({
      additionalProperties: { type: 'integer' },
    });
    expect(structuralFromZod(z.looseObject({}))).not.toHaveProperty('additionalProperties');
    expect(structuralFromZod(z.strictObject({}))).not.toHaveProperty('additionalProperties');
  });

  test.each([
    ['a union', z.object({ a: z.object({ b: z.union([z.string(), z.int()]) }) }), '.a.b'],
    ['anything', z.object({ a: z.any() }), '.a'],
    ['a fraction', z.object({ a: z.array(z.number()) }), '.a[]'],
    ['a tuple', z.object({ a: z.tuple([z.string()]) }), '.a[]'],
  ])('is refused for %s, naming the place', (_what, schema, path) => {
    expect(() => structuralFromZod(schema)).toThrow(`${path} is not of one type`);
  });
});
