/** Reading JSON of unknown shape, for rules and schema walks. */

/** A JSON object whose fields are not known. */
export interface JsonObject {
  readonly [field: string]: unknown;
}

/** True for objects; arrays and null are none. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The value of a field, or undefined when `value` is no object or has no such own field. */
export function fieldOf(value: unknown, field: string): unknown {
  return isJsonObject(value) && Object.hasOwn(value, field) ? value[field] : undefined;
}
