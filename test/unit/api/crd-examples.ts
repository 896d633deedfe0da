/** The BatchQueues under `crds/examples/`, each invalid one with the message it deserves. */

import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';

const DIRECTORY = fileURLToPath(new URL('../../../crds/examples/', import.meta.url));

export interface Example {
  readonly name: string;
  readonly path: string;
  readonly object: unknown;
}

export interface InvalidExample extends Example {
  /** Part of what the API server says. */
  readonly expected: string;
  /** Part of what code says; undefined when only the API server refuses it. */
  readonly expectedInCode: string | undefined;
}

/** Examples that are to be accepted. */
export function validExamples(): Example[] {
  return examplesIn('valid').map(({ name, path, object }) => ({ name, path, object }));
}

/** Examples that are to be refused. Throws when one does not say with which message. */
export function invalidExamples(): InvalidExample[] {
  return examplesIn('invalid').map(({ name, path, object, text }) => {
    const expected = /^# expect: (.+)\n/.exec(text)?.[1];
    if (expected === undefined) throw new Error(`${path} must start with "# expect: <part of the message>"`);
    const apiServerOnly = /^# API server only: /m.test(text);
    const expectedInCode = /^# expect in code: (.+)$/m.exec(text)?.[1] ?? expected;
    return { name, path, object, expected, expectedInCode: apiServerOnly ? undefined : expectedInCode };
  });
}

function examplesIn(kind: 'valid' | 'invalid'): (Example & { readonly text: string })[] {
  const files = readdirSync(`${DIRECTORY}${kind}`).filter((file) => file.endsWith('.yaml'));
  return files.sort().map((file) => {
    const path = `${DIRECTORY}${kind}/${file}`;
    const text = readFileSync(path, 'utf8');
    const object: unknown = parse(text);
    return { name: file.replace('.yaml', ''), path, object, text };
  });
}
