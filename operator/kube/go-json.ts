import { canonicalJson } from '../api/json.ts';

/** What Go escapes in every string, for the sake of browsers. */
const ESCAPED = /[<>&\u2028\u2029]/g;

/**
 * JSON to the byte as Go writes it: fields sorted, nothing between them, and some more characters escaped.
 *
 * The API server keeps some fields as they were sent (`data` of a ControllerRevision), and lets nobody change them; whoever
 * patches anything else of the object has them written anew by Go, and compared byte by byte. Sent in any other way, the
 * object could be created, and then neither be renumbered nor be orphaned.
 */
export function goJson(value: unknown): string {
  return canonicalJson(value).replaceAll(ESCAPED, escaped);
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
