/** A user's own transform: an ES module in the image, named by `BATCHQUEUE_TRANSFORM` (docs/workers.md). */
import { pathToFileURL } from 'node:url';
import { BadRow, wrongColumnCount, wrongHeader } from './bad-row.ts';
import { messageOf, WorkerError } from './contract/errors.ts';
import { uniformsFrom } from './factors.ts';
import { bytesOf, type RowsTransform, textOf } from './rows-transform.ts';
import { quoted } from './text.ts';

/** What the module's default export is called with, besides the row. */
interface Context {
  /** Counts the rows after the header from 1, bad ones included. */
  readonly rowNumber: number;
  /** Uniform in [0, 1); the same numbers whenever the same message is processed. */
  readonly random: () => number;
}

/** A module that passed the checks. */
export interface OwnTransform {
  readonly transform: (row: Readonly<Record<string, string>>, context: Context) => unknown;
  /** Columns of the output; undefined: those of the input. */
  readonly columns: readonly string[] | undefined;
}

/** Loads the module at an absolute path. Throws `misconfigured` when it cannot be loaded or exports something else. */
export async function loadTransform(path: string): Promise<OwnTransform> {
  const module = await importModule(path);
  const transform: unknown = module['default'];
  const columns: unknown = module['columns'];
  if (!isFunction(transform)) {
    throw new WorkerError('misconfigured', `transform ${path}: its default export must be a function`);
  }
  if (columns !== undefined && !isNames(columns)) {
    throw new WorkerError(
      'misconfigured',
      `transform ${path}: its export "columns" must be an array of different names`,
    );
  }
  return { transform, columns };
}

/** The transform for one file. Everything that the module throws, and everything it must not return, is a bad row. */
export function ownRows({ transform, columns }: OwnTransform, seed: string): RowsTransform {
  const random = uniformsFrom(seed);
  let header: { readonly bytes: readonly string[]; readonly names: readonly string[] } | undefined;
  let outputColumns: ReadonlySet<string> = new Set();
  let rowNumber = 0;
  return (row) => {
    if (header === undefined) {
      header = { bytes: row, names: headerNames(row) };
      outputColumns = new Set(columns ?? header.names);
      return [[...outputColumns].map(bytesOf)];
    }
    rowNumber += 1;
    if (row.length !== header.names.length) throw wrongColumnCount(row.length, header.bytes);
    const fields = header.names.map((name, index) => [name, textOf(row[index] ?? '', index + 1)] as const);
    const result = called(transform, Object.fromEntries(fields), { rowNumber, random });
    return rowsFrom(result).map((one) => fieldsOf(one, outputColumns));
  };
}

async function importModule(path: string): Promise<Readonly<Record<string, unknown>>> {
  try {
    const module: Readonly<Record<string, unknown>> = await import(pathToFileURL(path).href);
    return module;
  } catch (error) {
    throw new WorkerError('misconfigured', `transform ${path} cannot be loaded: ${messageOf(error)}`, error);
  }
}

function isFunction(value: unknown): value is OwnTransform['transform'] {
  return typeof value === 'function';
}

function isNames(value: unknown): value is readonly string[] {
  return (
    Array.isArray(value) &&
    value.length > 0 &&
    value.every((name) => typeof name === 'string') &&
    new Set(value).size === value.length
  );
}

function headerNames(row: readonly string[]): readonly string[] {
  const names = row.map((name, index) => textOf(name, index + 1));
  if (new Set(names).size === names.length) return names;
  throw wrongHeader(row, 'names that differ');
}

function called(
  transform: OwnTransform['transform'],
  row: Record<string, string>,
  context: Context,
): unknown {
  try {
    return transform(row, context);
  } catch (error) {
    throw new BadRow(`the transform threw ${quoted(messageOf(error))}`);
  }
}

function rowsFrom(result: unknown): readonly unknown[] {
  if (result === undefined || result === null) return [];
  return Array.isArray(result) ? result : [result];
}

function fieldsOf(row: unknown, columns: ReadonlySet<string>): readonly string[] {
  if (typeof row !== 'object' || row === null || Array.isArray(row) || row instanceof Promise) {
    throw new BadRow(
      'the transform returned something else, allowed: a row, an array of rows, or nothing (and no promise)',
    );
  }
  const values = new Map<string, unknown>(Object.entries(row));
  for (const name of values.keys()) {
    if (columns.has(name)) continue;
    throw new BadRow(`the transform returned the column ${quoted(name)}, which the output does not have`);
  }
  return Array.from(columns, (name) => fieldOf(values.get(name), name));
}

function fieldOf(value: unknown, name: string): string {
  if (value === undefined || value === null) return '';
  if (typeof value === 'string' && value.isWellFormed()) return bytesOf(value);
  if (typeof value === 'boolean' || typeof value === 'bigint') return String(value);
  if (typeof value === 'number' && Number.isFinite(value)) return String(value);
  throw new BadRow(
    `the transform returned no usable value for ${quoted(name)}, allowed: text, a finite number, a boolean or nothing`,
  );
}
