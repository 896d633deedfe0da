/** What CSV means here, for everything that reads it with csv-parse: one meaning, whichever engine runs. */

import type { Options } from 'csv-parse';

/** Longest row in bytes: a quote that is never closed ends here instead of taking the rest of a file into memory. */
export const MAX_ROW_BYTES = 1024 * 1024;

/**
 * Text stands for bytes, one character each: delimiters and quotes are ASCII, so every encoding that extends ASCII
 * (UTF-8, Windows-1252 …) passes unchanged, invalid sequences included, and nothing is decoded for nothing. The byte
 * order mark has to be skipped before, because csv-parse switches to UTF-8 when it finds one itself.
 */
export const ENCODING = 'latin1';

/** Options of csv-parse. Record delimiters are given, not discovered: it would take the first line's as the only one. */
export const CSV_DIALECT = {
  encoding: ENCODING,
  record_delimiter: ['\r\n', '\n'],
  skip_empty_lines: true,
  max_record_size: MAX_ROW_BYTES,
} satisfies Options;
