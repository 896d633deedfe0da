/** What a message asks for: the body as JSON, checked field by field. */
import * as z from 'zod';
import { WorkerError } from './contract/errors.ts';
import type { Columns } from './rows-transform.ts';
import { problemOfPath } from './storage-path.ts';
import { quoted } from './text.ts';

/** One CSV to be processed; both paths are relative to the storage root and passed the path grammar. */
export interface Task {
  readonly input: string;
  readonly output: string;
  /** What the factors are drawn from; the message id unless the body says otherwise. */
  readonly seed: string;
  /** Where bad rows go, as a path like the others; undefined: the first one refuses the file. */
  readonly rejected: string | undefined;
  /** Undefined: the header must be `ID,Value`. */
  readonly columns: Columns | undefined;
}

const BODY_ALLOWED =
  '{"input": path, "output": path, "seed": text, "onInvalidRow": "fail" or "reject", "columns": {"id": name, "value": name}}, the last three optional';
const SEED_ALLOWED = 'a text of 1 to 256 characters';
const NAME_ALLOWED = 'the name of a column, a text of 1 to 256 characters';
const COLUMNS_ALLOWED = '{"id": name, "value": name}, two different names, each optional';
const MAX_TEXT_LENGTH = 256;
/** Unknown fields that are named. */
const MAX_NAMES = 5;

/** What is added to the name of the output for the file with its bad rows. */
const REJECTED_SUFFIX = '.rejected.csv';

const text = (allowed: string) =>
  z.string({ error: (issue) => `got ${kindOf(issue.input)}, allowed: ${allowed}` });

const storagePath = text('a path relative to the storage root').superRefine((path, context) => {
  const problem = problemOfPath(path);
  if (problem !== undefined) context.addIssue({ code: 'custom', message: problem });
});

const shortText = (allowed: string) =>
  text(allowed)
    .min(1, `got an empty text, allowed: ${allowed}`)
    .max(MAX_TEXT_LENGTH, `got a longer text, allowed: ${allowed}`)
    .refine((value) => value.isWellFormed(), `got text that is not Unicode, allowed: ${allowed}`);

/** Names what is unknown or of the wrong type; zod's own words quote values. */
const strictError = (allowed: string) => (issue: z.core.$ZodRawIssue) =>
  issue.code === 'unrecognized_keys'
    ? `got the unknown field ${namesText(issue.keys)}, allowed: ${allowed}`
    : `got ${kindOf(issue.input)}, allowed: ${allowed}`;

/** A body of 1 MiB has room for a hundred thousand names, and the reason goes into a log. */
function namesText(names: readonly string[]): string {
  const named = names.slice(0, MAX_NAMES).map(quoted).join(', ');
  return names.length > MAX_NAMES ? `${named} and ${names.length - MAX_NAMES} more` : named;
}

const columnsSchema = z
  .strictObject(
    { id: shortText(NAME_ALLOWED).default('ID'), value: shortText(NAME_ALLOWED).default('Value') },
    { error: strictError(COLUMNS_ALLOWED) },
  )
  .refine(({ id, value }) => id !== value, `got the same name twice, allowed: ${COLUMNS_ALLOWED}`);

const bodySchema = z.strictObject(
  {
    input: storagePath,
    output: storagePath,
    seed: shortText(SEED_ALLOWED).optional(),
    onInvalidRow: z
      .enum(['fail', 'reject'], {
        error: ({ input }) =>
          `got ${typeof input === 'string' ? quoted(input) : kindOf(input)}, allowed: "fail" or "reject"`,
      })
      .default('fail'),
    columns: columnsSchema.optional(),
  },
  { error: strictError(BODY_ALLOWED) },
);

/**
 * The task of one message. Throws a `reject` WorkerError that names every wrong field, what was got and what is
 * allowed. Values of unknown fields are never repeated: they may be anything, secrets included.
 */
export function taskFromBody(body: string, messageId: string): Task {
  const parsed = bodySchema.safeParse(jsonFrom(body));
  if (!parsed.success) throw new WorkerError('reject', parsed.error.issues.map(problemText).join('; '));
  const { input, output, seed, onInvalidRow, columns } = parsed.data;
  const rejected = onInvalidRow === 'reject' ? `${output}${REJECTED_SUFFIX}` : undefined;
  const problem = problemOfOutput(input, output, rejected);
  if (problem !== undefined) throw new WorkerError('reject', `body field "output": ${problem}`);
  return { input, output, seed: seed ?? messageId, rejected, columns };
}

function problemOfOutput(input: string, output: string, rejected: string | undefined): string | undefined {
  if (input === output) return `got the input ${quoted(output)} again, allowed: another file`;
  if (rejected === undefined) return undefined;
  if (input === rejected)
    return `got ${quoted(output)}, whose file of bad rows is the input, allowed: another file`;
  return problemOfPath(rejected);
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
