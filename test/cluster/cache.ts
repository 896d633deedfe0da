/** The user's cache, which outlives clusters. */
import { homedir } from 'node:os';
import path from 'node:path';

/** `$XDG_CACHE_HOME/batchqueue`, by default `~/.cache/batchqueue`; may not exist yet. */
export function cacheDirectory(): string {
  const base = process.env.XDG_CACHE_HOME;
  // The XDG base directory specification says to ignore relative paths.
  return path.join(
    base !== undefined && path.isAbsolute(base) ? base : path.join(homedir(), '.cache'),
    'batchqueue',
  );
}
