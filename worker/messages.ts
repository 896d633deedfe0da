/** The messages file: an array of records, named as in the SQS event of a Lambda function. */
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { messageOf, WorkerError } from './errors.ts';

/** What this worker needs of a record; the others (`attributes`, `messageAttributes`, `attempt`) are passed over. */
export interface MessageRecord {
  readonly messageId: string;
  readonly body: string;
}

const recordsSchema = z.array(z.object({ messageId: z.string().min(1), body: z.string() })).min(1);

/** The records of the file. Throws `misconfigured` when it is missing, unreadable or not in the format. */
export async function readMessages(path: string): Promise<readonly MessageRecord[]> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw new WorkerError('misconfigured', `messages file cannot be read: ${messageOf(error)}`, error);
  });
  return recordsFromText(text, path);
}

function recordsFromText(text: string, path: string): readonly MessageRecord[] {
  const parsed = recordsSchema.safeParse(jsonFrom(text, path));
  if (parsed.success) return parsed.data;
  const places = parsed.error.issues.map((issue) => issue.path.join('.') || 'the whole');
  throw new WorkerError(
    'misconfigured',
    `messages file ${path}: allowed is an array of at least one record with messageId and body, wrong is: ${places.join(', ')}`,
  );
}

function jsonFrom(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Without the parser's message: it quotes the file, and the file holds bodies.
    throw new WorkerError(
      'misconfigured',
      `messages file ${path}: got ${text.length} characters that are not JSON`,
    );
  }
}
