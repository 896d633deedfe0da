/**
 * Which paths a message may name. Senders are not trusted with anything but file names below the storage root, so the
 * grammar is narrow and nothing is ever normalised: a path is either taken as it stands or refused.
 */
import { quoted } from './text.ts';

/** Linux: NAME_MAX is 255 bytes; a path of 1024 bytes leaves room for the root below PATH_MAX (4096). */
const MAX_SEGMENT_BYTES = 255;
const MAX_PATH_BYTES = 1024;

/** The worker's own directory below the storage root (`manifest.ts`): no message may name anything in it. */
export const OWN_DIRECTORY = '.batchqueue';

/**
 * What is wrong with `path` as a path relative to the storage root, or undefined when it may be used. A path that
 * passes has only plain segments, so joining it to the root cannot leave the root, symbolic links aside.
 */
export function problemOfPath(path: string): string | undefined {
  if (path === '') return 'got an empty path, allowed: a path relative to the storage root';
  const rule = brokenRule(path);
  return rule === undefined ? undefined : `got ${quoted(path)}, ${rule}`;
}

function brokenRule(path: string): string | undefined {
  if (path.startsWith('/')) return 'allowed: a path relative to the storage root, without a leading slash';
  if (!path.isWellFormed()) return 'allowed: well-formed Unicode text';
  if (/[\p{Cc}\\]/u.test(path)) return 'allowed: no backslash, NUL or other control character';
  if (Buffer.byteLength(path) > MAX_PATH_BYTES) return `allowed: at most ${MAX_PATH_BYTES} bytes`;
  const segments = path.split('/');
  if (segments.some((segment) => segment === '' || segment === '.' || segment === '..')) {
    return 'allowed: plain names between single slashes, no "." or ".." and none empty';
  }
  if (segments[0] === OWN_DIRECTORY)
    return `allowed: a path outside ${OWN_DIRECTORY}, which is the worker's own`;
  if (segments.some((segment) => Buffer.byteLength(segment) > MAX_SEGMENT_BYTES)) {
    return `allowed: names of at most ${MAX_SEGMENT_BYTES} bytes`;
  }
  return undefined;
}
