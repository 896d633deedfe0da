import { z } from 'zod';
import { BODY_FILE, MESSAGES_FILE } from '../api/names.ts';
import { OperatorError } from '../errors.ts';
import { payloadOf } from '../plan/payload.ts';
import type { Settle, Verdict } from '../plan/plan.ts';
import { readJson } from '../plan/read-json.ts';
import type { DeadLetterCopy } from '../world.ts';
import type { World } from './interpreter.ts';
import { readSecretFile } from './payload-secrets.ts';

const recordsSchema = z.array(
  z.object({
    messageId: z.string(),
    body: z.string().optional(),
    attributes: z.record(z.string(), z.string()),
    messageAttributes: z.record(
      z.string(),
      z.object({
        dataType: z.string(),
        stringValue: z.string().optional(),
        binaryValue: z.string().optional(),
      }),
    ),
  }),
);

/**
 * What rejected messages were, read back from their Job: the messages file and, of a large one, the body. Throws when
 * that cannot be read any more; then nothing is copied and nothing deleted.
 */
export async function readCopies(
  { claim, result }: Settle,
  verdicts: readonly Verdict[],
  world: World,
): Promise<readonly DeadLetterCopy[]> {
  const { namespace = '', name } = claim.job.metadata;
  const payload = payloadOf(claim.job);
  const read = async (file: string) => {
    const secret = payload?.secrets.find((each) => each.file === file);
    return secret && (await readSecretFile(namespace, secret.secretName, file, world));
  };
  const records = readJson(payload?.inline ?? (await read(MESSAGES_FILE)), recordsSchema);
  const largeBody = await read(BODY_FILE);
  return verdicts.map(({ message }) => {
    const record = records?.[message.index];
    const body = record?.body ?? largeBody;
    if (!record || record.messageId !== message.id || body === undefined) throw unreadable(name);
    const { attributes, messageAttributes } = record;
    const reason = [result?.reason, result?.message].filter(Boolean).join(': ');
    return { id: message.id, body, attributes, messageAttributes, reason, job: name };
  });
}

function unreadable(job: string): OperatorError {
  return new OperatorError({
    code: 'PayloadUnreadable',
    verdict: 'retry',
    message: `the messages of Job ${job} cannot be read, so that none can be copied to the dead-letter queue`,
  });
}
