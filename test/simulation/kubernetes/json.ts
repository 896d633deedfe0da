import { isJsonObject } from '../../../operator/api/json.ts';
import type { KubeObject } from '../../../operator/ports.ts';
import type { PatchOptions } from '../../../operator/world.ts';
import { kubeFailure } from './failures.ts';

/** As JSON over the wire: nothing is shared, and fields that are undefined are gone. */
export function copyOf<T>(value: T): T {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the same JSON, which types cannot say
  return copied(value) as T;
}

function copied(value: unknown): unknown {
  // In an array JSON has null for what is undefined.
  if (Array.isArray(value)) return value.map((element) => copied(element ?? null));
  if (!isJsonObject(value)) return value;
  const copy: Record<string, unknown> = {};
  for (const name of Object.keys(value)) if (value[name] !== undefined) copy[name] = copied(value[name]);
  return copy;
}

/** The object after a patch of this type. */
export function patched(target: KubeObject, patch: object, type: PatchOptions['type']): unknown {
  if (type === 'json') return jsonPatched(target, patch);
  return type === 'strategic' ? strategicallyMerged(target, patch) : merged(target, patch);
}

/** JSON merge patch (RFC 7386). Shares what the patch leaves alone. */
function merged(target: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return copyOf(patch);
  const base = typeof target === 'object' && target !== null && !Array.isArray(target) ? target : {};
  const result: Record<string, unknown> = { ...base };
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete result[name];
    else if (value !== undefined) result[name] = merged(result[name], value);
  }
  return result;
}

const TAKES_FROM = '$deleteFromPrimitiveList/';

/**
 * Strategic merge patch, as far as it goes with members of objects and with texts that are taken out of lists of texts.
 * Throws for what else it may do with lists.
 */
function strategicallyMerged(target: unknown, patch: object): object {
  const result: Record<string, unknown> = { ...Object(target) };
  for (const [name, value] of Object.entries(patch)) {
    if (Array.isArray(value)) {
      if (!name.startsWith(TAKES_FROM))
        throw new Error(`a strategic merge of the list ${name} is not modelled`);
      const list = name.slice(TAKES_FROM.length);
      const before = result[list];
      if (Array.isArray(before)) result[list] = before.filter((text) => !value.includes(text));
    } else if (isJsonObject(value)) result[name] = strategicallyMerged(result[name], value);
    else if (value === null) delete result[name];
    else if (value !== undefined) result[name] = value;
  }
  return result;
}

/** JSON patch (RFC 6902) as far as it goes with `test`, `add`, `replace` and `remove` on members of objects. */
function jsonPatched(target: KubeObject, patch: object): unknown {
  let result: unknown = target;
  for (const step of Array.isArray(patch) ? patch : []) {
    const { op, path, value } = Object(step);
    const [first = '', ...rest] = String(path).split('/').slice(1).map(unescaped);
    result = stepped(result, { op: String(op), value }, [first, ...rest]);
  }
  return result;
}

function stepped(
  target: unknown,
  step: { readonly op: string; readonly value: unknown },
  path: readonly [string, ...string[]],
): unknown {
  const [name, next, ...rest] = path;
  const fields: Record<string, unknown> = { ...Object(target) };
  if (next !== undefined) {
    if (fields[name] === undefined) throw kubeFailure('Invalid', 'terminal');
    return { ...fields, [name]: stepped(fields[name], step, [next, ...rest]) };
  }
  switch (step.op) {
    case 'test':
      if (JSON.stringify(fields[name]) !== JSON.stringify(step.value))
        throw kubeFailure('Invalid', 'terminal');
      return target;
    case 'remove':
      if (fields[name] === undefined) throw kubeFailure('Invalid', 'terminal');
      delete fields[name];
      return fields;
    default:
      return { ...fields, [name]: copyOf(step.value) };
  }
}

function unescaped(part: string): string {
  return part.replaceAll('~1', '/').replaceAll('~0', '~');
}
