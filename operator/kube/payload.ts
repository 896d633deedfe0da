import { OperatorError } from '../errors.ts';
import type { KubeObject } from '../ports.ts';
import { fieldsOf, isRecord } from './json.ts';
import type { Attempt } from './kube-error.ts';

/** One page of a list. */
export interface ObjectPage {
  readonly items: KubeObject[];
  readonly resourceVersion: string;
  /** Asks for the next page; undefined on the last one. */
  readonly continue?: string;
}

/** Parses an answer's text. Throws `Unavailable`: a success that cannot be read is a lost answer, not a failed call. */
export function parseJson(attempt: Attempt, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw unreadable(attempt, 'answer is not JSON', cause);
  }
}

/** An object with at least a name; everything else is left as it came. */
export function parseObject(attempt: Attempt, value: unknown): KubeObject {
  if (!isKubeObject(value)) throw unreadable(attempt, 'answer is not an object with a name');
  return value;
}

/** The token in the answer to a TokenRequest. What cannot be read is not quoted, as it may hold one. */
export function parseToken(attempt: Attempt, text: string): string {
  try {
    const { token } = fieldsOf(fieldsOf(JSON.parse(text))['status']);
    if (typeof token === 'string' && token !== '') return token;
  } catch {
    // Said below.
  }
  throw unreadable(attempt, 'answer holds no token');
}

/** One page, its items complete with the `apiVersion` and `kind` that the server leaves to the list's own. */
export function parseList(attempt: Attempt, text: string): ObjectPage {
  const list = parseJson(attempt, text);
  const metadata = isRecord(list) ? list['metadata'] : undefined;
  if (!isRecord(list) || !isRecord(metadata)) throw unreadable(attempt, 'answer is not a list');
  const { resourceVersion, continue: next } = metadata;
  const { items, apiVersion, kind } = list;
  // An empty list is `items: []` or, from some aggregated servers, `items: null`; a missing one is no list.
  if (typeof resourceVersion !== 'string' || items === undefined)
    throw unreadable(attempt, 'answer is not a list');
  const type = {
    ...(typeof apiVersion === 'string' ? { apiVersion } : {}),
    ...(typeof kind === 'string' ? { kind: kind.replace(/List$/, '') } : {}),
  };
  const parsed: KubeObject[] = [];
  for (const item of Array.isArray(items) ? items : [])
    parsed.push({ ...type, ...parseObject(attempt, item) });
  return {
    items: parsed,
    resourceVersion,
    ...(typeof next === 'string' && next !== '' ? { continue: next } : {}),
  };
}

function isKubeObject(value: unknown): value is KubeObject {
  return isRecord(value) && isRecord(value['metadata']) && typeof value['metadata']['name'] === 'string';
}

function unreadable(attempt: Attempt, what: string, cause?: unknown): OperatorError {
  return new OperatorError({
    code: 'Unavailable',
    verdict: 'retry',
    message: `${attempt.text}: Unavailable: ${what}`,
    outcomeUnknown: attempt.isWrite,
    cause,
  });
}
