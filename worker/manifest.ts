/**
 * What was published for a message, kept at `.batchqueue/<message>.json` below the storage root, so that a second run of
 * the same message finds the work done. It is written after the outputs: a crash in between only means that the work is
 * done again, to the same bytes. Whoever may write to the volume may forge it, as he may forge the outputs themselves.
 */
import { createHash } from 'node:crypto';
import { lstat } from 'node:fs/promises';
import * as z from 'zod';
import { errnoOf } from './contract/errors.ts';
import { publish } from './publication.ts';
import { type Location, openInput, pathOf } from './storage.ts';
import { OWN_DIRECTORY } from './storage-path.ts';

const MAX_MANIFEST_BYTES = 64 * 1024;
const BLOCK_BYTES = 1024 * 1024;

/** How a file is known again: `identity` without reading it, `sha256` and `sizeBytes` by reading it. */
const fileSchema = z.object({
  path: z.string(),
  sizeBytes: z.number(),
  sha256: z.string(),
  identity: z.string(),
});

const totalsSchema = z.object({
  rowsIn: z.number(),
  rowsOut: z.number(),
  rowsRejected: z.number(),
  bytesIn: z.number(),
  bytesOut: z.number(),
});

const manifestSchema = z.object({
  messageId: z.string(),
  /** Hash of what the message asked for. */
  task: z.string(),
  /** Identity of the input that was read. */
  input: z.string(),
  outputs: z.array(fileSchema).min(1),
  totals: totalsSchema,
});

export type Manifest = z.output<typeof manifestSchema>;

/** What a manifest is compared with. */
export interface Asked {
  readonly messageId: string;
  readonly task: string;
  readonly input: Location;
  readonly outputs: readonly Location[];
}

/** A hash of what a message asks for; equal for equal tasks. */
export function taskHash(task: object): string {
  return createHash('sha256').update(JSON.stringify(task)).digest('hex');
}

/**
 * What is known about a file without reading it: size, time of writing, time of change, number. Any write or replacement
 * changes it. Undefined when there is no such file.
 */
export async function identityOf(location: Location): Promise<string | undefined> {
  try {
    const { size, mtimeNs, ctimeNs, ino } = await lstat(pathOf(location), { bigint: true });
    return [size, mtimeNs, ctimeNs, ino].join(' ');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined;
    throw error;
  }
}

/**
 * The manifest of a message whose work is done: the same task, the input not replaced since (it may be gone), and every
 * output as it was published. Reads an output only when its identity differs, as after a restored backup. Undefined
 * when the work has to be done, whatever the reason.
 */
export async function findDone(asked: Asked): Promise<Manifest | undefined> {
  try {
    const manifest = await readManifest(locationOf(asked));
    if (manifest === undefined || !isOf(manifest, asked)) return undefined;
    const input = await identityOf(asked.input);
    if (input !== undefined && input !== manifest.input) return undefined;
    for (const [index, output] of asked.outputs.entries()) {
      if (!(await isAsPublished(output, manifest.outputs[index]))) return undefined;
    }
    return manifest;
  } catch {
    // Whatever cannot be read now is met again by the work itself, which has the words for it.
    return undefined;
  }
}

/** Records that the work is done. `inputIdentity` was taken before the input was read. Reads the outputs once. */
export async function recordDone(
  asked: Asked,
  inputIdentity: string,
  totals: Manifest['totals'],
): Promise<void> {
  const outputs: z.output<typeof fileSchema>[] = [];
  for (const output of asked.outputs) {
    const identity = (await identityOf(output)) ?? '';
    outputs.push({ path: output.relative, ...(await contentOf(output)), identity });
  }
  const { messageId, task } = asked;
  const text = JSON.stringify({ messageId, task, input: inputIdentity, outputs, totals } satisfies Manifest);
  await publish(locationOf(asked), (file) => file.writeFile(`${text}\n`), new AbortController().signal);
}

/** An id of SQS is its own file name; any other is hashed. */
function locationOf({ input: { root }, messageId }: Asked): Location {
  const name = /^[0-9A-Za-z][0-9A-Za-z_-]{0,99}$/.test(messageId) ? messageId : taskHash([messageId]);
  const relative = `${OWN_DIRECTORY}/${name}.json`;
  return { root, relative, shown: relative };
}

async function readManifest(location: Location): Promise<Manifest | undefined> {
  const file = await openInput(location);
  try {
    if ((await file.stat()).size > MAX_MANIFEST_BYTES) return undefined;
    return manifestSchema.parse(JSON.parse(await file.readFile('utf8')));
  } finally {
    await file.close();
  }
}

function isOf(manifest: Manifest, { messageId, task, outputs }: Asked): boolean {
  return (
    manifest.messageId === messageId && manifest.task === task && manifest.outputs.length === outputs.length
  );
}

async function isAsPublished(output: Location, published: Manifest['outputs'][number] | undefined) {
  if (published?.path !== output.relative) return false;
  const identity = await identityOf(output);
  if (identity === undefined) return false;
  if (identity === published.identity) return true;
  if (!identity.startsWith(`${published.sizeBytes} `)) return false;
  return (await contentOf(output)).sha256 === published.sha256;
}

async function contentOf(
  location: Location,
): Promise<{ readonly sha256: string; readonly sizeBytes: number }> {
  const file = await openInput(location);
  try {
    const hash = createHash('sha256');
    const block = Buffer.allocUnsafe(BLOCK_BYTES);
    for (let position = 0; ; ) {
      const { bytesRead } = await file.read(block, 0, BLOCK_BYTES, position);
      if (bytesRead === 0) return { sha256: hash.digest('hex'), sizeBytes: position };
      hash.update(block.subarray(0, bytesRead));
      position += bytesRead;
    }
  } finally {
    await file.close();
  }
}
