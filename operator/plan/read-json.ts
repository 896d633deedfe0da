import type { z } from 'zod';

/** Reads JSON that somebody else may have written: undefined when there is none or it is not what the schema says. */
export function readJson<T>(text: string | undefined, schema: z.ZodType<T>): T | undefined {
  if (text === undefined) return undefined;
  try {
    return schema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
