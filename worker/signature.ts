/** What the first bytes of a file say about it, before any of it is taken for CSV. */
import type { FileHandle } from 'node:fs/promises';
import { WorkerError } from './contract/errors.ts';

const UTF8_BOM = 'efbbbf';

/**
 * Files that hold text, but not as bytes that extend ASCII: what would be said about their first row helps nobody. The
 * first four bytes in hexadecimal; the first that fits counts.
 */
const REFUSED: readonly (readonly [signature: RegExp, what: string])[] = [
  [/^(fffe0000|0000feff)/, 'UTF-32 text'],
  [/^(fffe|feff)/, 'UTF-16 text'],
  // Without a byte order mark: every second byte of what begins with two letters of ASCII is zero, two such in a row.
  [/^(?!00)..00(?!00)..00/, 'UTF-16 text'],
  [/^00(?!00)..00(?!00)../, 'UTF-16 text'],
  [/^1f8b/, 'a gzip file'],
  [/^504b0304/, 'a zip file (or a spreadsheet)'],
  [/^28b52ffd/, 'a zstd file'],
];

const LONGEST = 4;

/**
 * Where the CSV begins: behind a byte order mark of UTF-8 if there is one. Throws a `reject` WorkerError for a file that
 * is known to be something else; `shown` is its name.
 */
export async function startOfCsv(file: FileHandle, shown: string): Promise<number> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(LONGEST), 0, LONGEST, 0);
  const start = buffer.toString('hex', 0, bytesRead);
  const refused = REFUSED.find(([signature]) => signature.test(start));
  if (refused !== undefined) {
    throw new WorkerError(
      'reject',
      `input ${shown}: got ${refused[1]}, allowed: CSV in UTF-8 or another encoding that extends ASCII`,
    );
  }
  return start.startsWith(UTF8_BOM) ? UTF8_BOM.length / 2 : 0;
}
