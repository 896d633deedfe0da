import type { KubeObject } from '../ports.ts';
import { fieldsOf } from './json.ts';
import { type Attempt, errorOfNetwork, errorOfStatus, parseStatus } from './kube-error.ts';
import { parseJson, parseObject } from './payload.ts';

/**
 * - `OPENED`: the server has accepted the watch; nothing has happened yet.
 * - `BOOKMARK`: everything up to this resourceVersion has been sent. The only event without an object.
 */
export type WatchEvent =
  | { readonly type: 'OPENED' }
  | { readonly type: 'BOOKMARK'; readonly resourceVersion: string }
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: KubeObject };

/** The body of a watch as events. Throws an `OperatorError` for an ERROR event, a broken stream and an unreadable line. */
export async function* readWatchEvents(
  attempt: Attempt,
  body: AsyncIterable<Uint8Array>,
): AsyncGenerator<WatchEvent, void> {
  yield { type: 'OPENED' };
  try {
    for await (const line of linesOf(body)) {
      const event = parseEvent(attempt, line);
      if (event !== undefined) yield event;
    }
  } catch (error) {
    throw errorOfNetwork(attempt, error);
  }
}

async function* linesOf(body: AsyncIterable<Uint8Array>): AsyncGenerator<string, void> {
  const decoder = new TextDecoder();
  let rest: string[] = [];
  for await (const chunk of body) {
    const [first = '', ...more] = decoder.decode(chunk, { stream: true }).split('\n');
    rest.push(first);
    for (const part of more) {
      const line = rest.join('');
      rest = [part];
      if (line.trim() !== '') yield line;
    }
  }
  // What is left without a line end is half an event of a stream that broke: the next watch brings it again.
}

/** Undefined for a type that this version does not know. */
function parseEvent(attempt: Attempt, line: string): WatchEvent | undefined {
  const event = parseJson(attempt, line);
  const { type, object } = fieldsOf(event);
  switch (type) {
    case 'ADDED':
    case 'MODIFIED':
    case 'DELETED':
      return { type, object: parseObject(attempt, object) };
    case 'BOOKMARK':
      return { type, resourceVersion: bookmarkOf(object) };
    case 'ERROR':
      throw errorOfStatus(attempt, parseStatus(object));
    default:
      return undefined;
  }
}

function bookmarkOf(object: unknown): string {
  const { resourceVersion } = fieldsOf(fieldsOf(object)['metadata']);
  return typeof resourceVersion === 'string' ? resourceVersion : '';
}
