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
  for (;;) {
    const { bytesRead } = await file.read(block, 0, BLOCK_BYTES, position);
    for (let index = 0; index < bytesRead; index += 1) {
      const byte = block[index];
      // A line end at the offset or after it belongs to a blank line; a CR can only be the first half of one.
      if (position + index >= offset && byte !== LF && byte !== CR) return line;
      if (byte === LF) line += 1;
    }
    if (bytesRead === 0) return line;
    position += bytesRead;
  }
}
