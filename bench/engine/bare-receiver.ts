/** The bare loop: receives ten messages, deletes them, and so on, with the operator's SDK and settings. */
import { DeleteMessageBatchCommand, ReceiveMessageCommand } from '@aws-sdk/client-sqs';
import { z } from 'zod';
import { ANY_READER, clientsOfOne } from '../../test/support/one-identity.ts';
import { answerQuestions } from './questions.ts';

const drainSchema = z.object({ url: z.string(), messages: z.number() });

const [endpoint = ''] = process.argv.slice(2);
const clients = clientsOfOne(endpoint);

answerQuestions({
  /** Takes this many messages out of the queue; how many milliseconds that took. */
  drain: async (argument) => {
    const { url, messages } = drainSchema.parse(argument);
    const startedAtMs = performance.now();
    for (let left = messages; left > 0; ) left -= await takeSome(url);
    return performance.now() - startedAtMs;
  },
});

async function takeSome(url: string): Promise<number> {
  const { Messages = [] } = await clients.clientFor({ ...ANY_READER, url }, 'poll').send(
    new ReceiveMessageCommand({
      QueueUrl: url,
      MaxNumberOfMessages: 10,
      WaitTimeSeconds: 0,
      VisibilityTimeout: 300,
      MessageSystemAttributeNames: ['All'],
      MessageAttributeNames: ['All'],
    }),
  );
  if (Messages.length === 0) return 0;
  const entries = Messages.map(({ ReceiptHandle }, index) => ({ Id: String(index), ReceiptHandle }));
  await clients
    .clientFor({ ...ANY_READER, url }, 'settle')
    .send(new DeleteMessageBatchCommand({ QueueUrl: url, Entries: entries }));
  return Messages.length;
}
