import { parse } from 'csv-parse/sync';
import { z } from 'zod';

/** The tutorial multiplies by a factor uniform in this range. */
const MIN_FACTOR = 0.8;
const MAX_FACTOR = 1.2;
/** Relative error of one double multiplication and its division, with room. */
const EPSILON = 1e-12;

const table = z.array(z.array(z.string()));

/** Compares a result with its input row by row; returns the first difference, or undefined when all is as it should be. */
export function outputProblem(input: string, output: string): string | undefined {
  const given = table.parse(parse(input));
  const written = table.parse(parse(output));
  if (written[0]?.join() !== 'ID,Value,ProcessedValue') return `header is ${written[0]?.join()}`;
  if (written.length !== given.length) return `${written.length - 1} rows instead of ${given.length - 1}`;
  const wrong = given.slice(1).findIndex((row, index) => !isProcessed(row, written[index + 1] ?? []));
  return wrong === -1 ? undefined : `row ${wrong + 1} is ${written[wrong + 1]?.join()}`;
}

function isProcessed([id, value]: readonly string[], result: readonly string[]): boolean {
  const [resultId, resultValue, processed] = result;
  if (resultId !== id || resultValue !== value || processed === undefined || result.length !== 3)
    return false;
  if (Number(value) === 0) return Number(processed) === 0;
  const factor = Number(processed) / Number(value);
  return factor >= MIN_FACTOR - EPSILON && factor < MAX_FACTOR + EPSILON;
}
