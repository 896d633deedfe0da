/** What a message asks for: the body as JSON, checked field by field. */
import { z } from 'zod';
import { WorkerError } from './contract/errors.ts';
import { problemOfPath } from './storage-path.ts';
import { quoted } from './text.ts';

/** One CSV to be processed; both paths are relative to the storage root and passed the path grammar. */
export interface Task {
  readonly input: string;
  readonly output: string;
  /** What the factors are drawn from; the message id unless the body says otherwise. */
  readonly seed: string;
}

const BODY_ALLOWED = '{"input": path, "output": path, "seed": text (optional)}';
const SEED_ALLOWED = 'a text of 1 to 256 characters';
const MAX_SEED_LENGTH = 256;

const text = (allowed: string) =>
  z.string({ error: (issue) => `got ${kindOf(issue.input)}, allowed: ${allowed}` });

const storagePath = text('a path relative to the storage root').superRefine((path, context) => {
  const problem = problemOfPath(path);
  if (problem !== undefined) context.addIssue({ code: 'custom', message: problem });
});

const seedText = text(SEED_ALLOWED)
  .min(1, `got an empty text, allowed: ${SEED_ALLOWED}`)
  .max(MAX_SEED_LENGTH, `got a longer text, allowed: ${SEED_ALLOWED}`);

const bodySchema = z.strictObject(
  { input: storagePath, output: storagePath, seed: seedText.optional() },
  {
    error: (issue) =>
      issue.code === 'unrecognized_keys'
        ? `got the unknown field ${issue.keys.map(quoted).join(', ')}, allowed: ${BODY_ALLOWED}`
        : `got ${kindOf(issue.input)}, allowed: ${BODY_ALLOWED}`,
  },
);

/**
 * The task of one message. Throws a `reject` WorkerError that names every wrong field, what was got and what is
 * allowed. Values of unknown fields are never repeated: they may be anything, secrets included.
 */
export function taskFromBody(body: string, messageId: string): Task {
  const parsed = bodySchema.safeParse(jsonFrom(body));
  if (!parsed.success) throw new WorkerError('reject', parsed.error.issues.map(problemText).join('; '));
  const { input, output, seed } = parsed.data;
  if (input === output) {
    throw new WorkerError(
      'reject',
      `body field "output": got the input ${quoted(output)} again, allowed: another file`,
    );
  }
  return { input, output, seed: seed ?? messageId };
}

function jsonFrom(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    // The parser's own message quotes the body, which must not reach logs or the Job's status.
    throw new WorkerError(
      'reject',
      `body: got ${body.length} characters that are not JSON, allowed: ${BODY_ALLOWED}`,
    );
  }
}

function problemText(issue: z.core.$ZodIssue): string {
  const field = issue.path.length === 0 ? 'body' : `body field ${quoted(issue.path.join('.'))}`;
  return `${field}: ${issue.message}`;
}

/** The JSON type of a value in words; never the value. */
function kindOf(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}
