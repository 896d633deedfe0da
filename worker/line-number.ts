/** Line numbers as an editor shows them. */
import type { FileHandle } from 'node:fs/promises';

const LF = 10;
const CR = 13;
const BLOCK_BYTES = 256 * 1024;

/**
 * The physical line, counted from 1, on which the row starts that is the first one at or after byte `offset`: blank
 * lines in between are passed over. Counts line feeds in the file itself: csv-parse's own `lines` counts a CRLF inside
 * quotes twice. Reads the file up to there once more, which only a failed task pays for.
 */
export async function lineNumberAt(file: FileHandle, offset: number): Promise<number> {
  const block = Buffer.allocUnsafe(BLOCK_BYTES);
  let line = 1;
  let position = 0;
  let isAfterCr = false;
  for (;;) {
    const { bytesRead } = await file.read(block, 0, BLOCK_BYTES, position);
    for (let index = 0; index < bytesRead; index += 1) {
      const byte = block[index];
      if (position + index >= offset) {
        // A line end here belongs to a blank line; a CR that no LF follows begins the row.
        if (byte !== LF && (isAfterCr || byte !== CR)) return line;
        isAfterCr = byte === CR;
      }
      if (byte === LF) line += 1;
    }
    if (bytesRead === 0) return line;
    position += bytesRead;
  }
}
