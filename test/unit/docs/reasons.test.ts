import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from '@jest/globals';

const REPOSITORY = path.join(import.meta.dirname, '../../..');
/** Where what conditions and events say comes from. */
const SOURCES = [
  'operator/plan/**/*.ts',
  'operator/aws/*.ts',
  'operator/sqs/{sqs-errors,queue-hosts}.ts',
  'operator/loops/{preflight,image-resolver,pull-secret-keeper,checking-storage,service-account-check}.ts',
];
const REASON =
  /(?:faulty|warned|passed|unchecked)\(\s*'(\w+)'|(?:reason|code): '([A-Z]\w+)'|isTrue\(type, '(\w+)'/g;
/** Never in a condition or an event. */
const INTERNAL: ReadonlySet<string> = new Set([
  // The lease on a message ended; its Job adopts it.
  'LeaseCeiling',
  // Refused by the CRD already.
  'InvalidQueueUrl',
  // Told as the reason of the check: CheckFailed.
  'RegistryUnreachable',
  'CheckTimedOut',
  // Of one settlement, in the log.
  'DeadLetterRefused',
  // A reason of Kubernetes' own, which is read.
  'Completed',
]);

test('every reason is in the tables of docs/operations.md', () => {
  const page = readFileSync(path.join(REPOSITORY, 'docs/operations.md'), 'utf8');
  const texts = SOURCES.flatMap((pattern) => globSync(pattern, { cwd: REPOSITORY })).map((file) =>
    readFileSync(path.join(REPOSITORY, file), 'utf8'),
  );
  const reasons = new Set(
    texts.flatMap((text) => [...text.matchAll(REASON)].flatMap((found) => found.slice(1).filter(Boolean))),
  );
  expect(reasons.size).toBeGreaterThan(80);
  const undocumented = [...reasons].filter((reason) => !page.includes(`\`${reason}\``));
  expect(undocumented.filter((reason) => !INTERNAL.has(reason))).toEqual([]);
});
