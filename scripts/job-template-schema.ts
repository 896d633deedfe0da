/** The structural schema of a JobTemplateSpec, made from what a Kubernetes API server publishes about `batch/v1`. */

import { fieldOf, isJsonObject, type JsonObject } from '../operator/api/json.ts';
import type { StructuralSchema } from '../operator/api/structural-schema.ts';

const ROOT = 'io.k8s.api.batch.v1.JobTemplateSpec';
const POD_SPEC = 'io.k8s.api.core.v1.PodSpec';
const OBJECT_META = 'io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta';
const QUANTITY = 'io.k8s.apimachinery.pkg.api.resource.Quantity';
const INT_OR_STRING = 'io.k8s.apimachinery.pkg.util.intstr.IntOrString';

/** Metadata that a template can carry; the rest is the server's. `kubectl create --dry-run` prints `creationTimestamp: null`. */
const TEMPLATE_METADATA = new Set(['annotations', 'creationTimestamp', 'labels', 'name']);
/** The API server refuses ephemeral containers in every pod template. */
const NOT_IN_TEMPLATES = new Set(['ephemeralContainers']);
/** Keys that mean the same in a structural schema. All others (descriptions, patch strategies, unions) are left out. */
const KEPT_KEYS = [
  'type',
  'format',
  'enum',
  'required',
  'x-kubernetes-list-type',
  'x-kubernetes-list-map-keys',
  'x-kubernetes-map-type',
];
/**
 * Quantities as text: `100m`, `0.5`, `2Gi`, `1e3`. Bare numbers pass too, as in every pod (`cpu: 0.5`), which `int-or-string`
 * would refuse; only a schema without a type lets both through.
 */
const QUANTITY_PATTERN =
  '^[+-]?([0-9]+([.][0-9]*)?|[.][0-9]+)(([KMGTPE]i)|[numkMGTPE]|([eE][+-]?([0-9]+([.][0-9]*)?|[.][0-9]+)))?$';

/**
 * The schema of a JobTemplateSpec with all references inlined and without descriptions, from the document under
 * `/openapi/v3/apis/batch/v1`. Defaults are left out, so that what a user applied and what is stored do not differ. Throws
 * when the document is another one.
 */
export function jobTemplateSchemaFrom(openapi: unknown): StructuralSchema {
  const schemas = fieldOf(fieldOf(openapi, 'components'), 'schemas');
  if (!isJsonObject(schemas) || !isJsonObject(schemas[ROOT]))
    throw new TypeError(`the document does not define ${ROOT}`);
  return inlined(schemas, ROOT);
}

function inlined(schemas: JsonObject, name: string): StructuralSchema {
  if (name === INT_OR_STRING) return { 'x-kubernetes-int-or-string': true };
  if (name === QUANTITY) return { pattern: QUANTITY_PATTERN, 'x-kubernetes-preserve-unknown-fields': true };
  const definition = schemas[name];
  if (!isJsonObject(definition)) throw new TypeError(`the document does not define ${name}`);
  const schema = structural(schemas, definition);
  if (schema.properties === undefined) return schema;
  if (name === OBJECT_META) keepFields(schema, (field) => TEMPLATE_METADATA.has(field));
  if (name === POD_SPEC) keepFields(schema, (field) => !NOT_IN_TEMPLATES.has(field));
  const created = schema.properties['creationTimestamp'];
  if (created !== undefined) created.nullable = true;
  return schema;
}

function keepFields(schema: StructuralSchema, keep: (field: string) => boolean): void {
  schema.properties = Object.fromEntries(
    Object.entries(schema.properties ?? {}).filter(([field]) => keep(field)),
  );
}

function structural(schemas: JsonObject, node: JsonObject): StructuralSchema {
  const reference = referenceOf(node);
  if (reference !== undefined) return inlined(schemas, reference);
  const kept = KEPT_KEYS.filter((key) => node[key] !== undefined).map((key) => [key, node[key]]);
  const schema: StructuralSchema = Object.fromEntries(kept);
  const { items, properties, additionalProperties } = node;
  if (isJsonObject(additionalProperties))
    schema.additionalProperties = structural(schemas, additionalProperties);
  if (isJsonObject(properties)) {
    schema.properties = Object.fromEntries(
      Object.entries(properties).flatMap(([name, child]) =>
        isJsonObject(child) ? [[name, structural(schemas, child)]] : [],
      ),
    );
  }
  if (isJsonObject(items)) {
    schema.items = structural(schemas, items);
    mergeByRequiredKeysOnly(schema);
  }
  return schema;
}

/**
 * The API server wants the keys by which a list is merged to be required or defaulted, and a default would make every
 * `kubectl apply` of a container with ports report a change. Such a list is replaced as a whole instead.
 */
function mergeByRequiredKeysOnly(list: StructuralSchema): void {
  const keys = list['x-kubernetes-list-map-keys'] ?? [];
  if (keys.every((key) => list.items?.required?.includes(key))) return;
  delete list['x-kubernetes-list-map-keys'];
  delete list['x-kubernetes-list-type'];
}

/** The name of the definition a node refers to; with a default beside it, a reference is wrapped in `allOf`. */
function referenceOf(node: JsonObject): string | undefined {
  const only: unknown = Array.isArray(node['allOf']) ? node['allOf'][0] : node;
  const reference = fieldOf(only, '$ref');
  return typeof reference === 'string' ? reference.slice(reference.lastIndexOf('/') + 1) : undefined;
}
