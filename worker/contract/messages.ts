/** The messages file: an array of records, named as in the SQS event of a Lambda function. */
import { readFile, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { messageOf, WorkerError } from './errors.ts';

/** Far beyond what the operator hands over: a Secret holds 1 MiB, and so does a message. */
const MAX_FILE_BYTES = 4 * 1024 * 1024;

/** One message. Senders decide what `body` and `messageAttributes` say: check every part before it is used. */
export interface MessageRecord {
  /** The same in every attempt: the key for idempotency. */
  readonly messageId: string;
  readonly body: string;
  /** Counts the Jobs of this message from 1. */
  readonly attempt: number;
  /** SQS's system attributes, as they stand in the file. */
  readonly attributes: Readonly<Record<string, unknown>>;
  /** The sender's: `{dataType, stringValue | binaryValue}` by name, as they stand in the file. */
  readonly messageAttributes: Readonly<Record<string, unknown>>;
}

/** The work of one run: which records of the file it is about, by their positions in it. */
export type Selection = ReadonlyMap<number, MessageRecord>;

/**
 * The records of the file in order; with `completionIndex` (an Indexed Job) only the one at that position. A body that
 * travels in a file of its own (`bodyFile`) has been read. Throws `misconfigured` when something is missing, unreadable
 * or not in the format; no message of that error holds any part of a body.
 */
export async function readMessages(path: string, completionIndex?: number): Promise<Selection> {
  const elements = elementsFrom(await readText(path, 'messages file'), path);
  const wanted = [...elements.entries()].filter(
    ([index]) => completionIndex === undefined || index === completionIndex,
  );
  if (wanted.length === 0) {
    throw new WorkerError(
      'misconfigured',
      `JOB_COMPLETION_INDEX is ${completionIndex}, but ${path} has ${elements.length} records`,
    );
  }
  const selection = new Map<number, MessageRecord>();
  for (const [index, element] of wanted) selection.set(index, await recordFrom(element, index, path));
  return selection;
}

async function recordFrom(element: unknown, index: number, path: string): Promise<MessageRecord> {
  const { messageId, body, bodyFile, attempt, attributes, messageAttributes } = objectFrom(element);
  if (typeof messageId !== 'string' || messageId === '') throw wrong(path, `${index}.messageId`);
  return {
    messageId,
    body: await bodyFrom(body, bodyFile, { index, path }),
    attempt: typeof attempt === 'number' ? attempt : 1,
    attributes: objectFrom(attributes),
    messageAttributes: objectFrom(messageAttributes),
  };
}

/** A name in `bodyFile` that is not absolute stands beside the messages file. */
async function bodyFrom(
  body: unknown,
  bodyFile: unknown,
  { index, path }: { readonly index: number; readonly path: string },
): Promise<string> {
  if (typeof body === 'string') return body;
  if (body !== undefined || typeof bodyFile !== 'string' || bodyFile === '')
    throw wrong(path, `${index}.body`);
  return readText(resolve(dirname(path), bodyFile), 'body file');
}

function elementsFrom(text: string, path: string): readonly unknown[] {
  const value = jsonFrom(text, path);
  if (!Array.isArray(value) || value.length === 0) throw wrong(path, 'the whole');
  return value;
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

function objectFrom(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? { ...value } : {};
}

function wrong(path: string, place: string): WorkerError {
  return new WorkerError(
    'misconfigured',
    `messages file ${path}: allowed is an array of at least one record with messageId and body or bodyFile, wrong is: ${place}`,
  );
}

async function readText(path: string, what: string): Promise<string> {
  const { size } = await stat(path).catch(() => ({ size: 0 }));
  if (size > MAX_FILE_BYTES) {
    throw new WorkerError(
      'misconfigured',
      `${what} ${path}: got ${size} bytes, allowed: at most ${MAX_FILE_BYTES}`,
    );
  }
  return readFile(path, 'utf8').catch((error: unknown) => {
    throw new WorkerError('misconfigured', `${what} cannot be read: ${messageOf(error)}`, error);
  });
}
