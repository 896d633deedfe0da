/** Commands of the AWS CLI as they stand in conditions: whoever reads one can paste it. */

/** Sets attributes of the queue at this URL. `arn`: its ARN, for its region. */
export function setQueueAttributes(
  url: string,
  arn: string,
  attributes: Readonly<Record<string, string>>,
): string {
  return `aws sqs set-queue-attributes --region ${regionOf(arn)} --queue-url ${url} --attributes '${JSON.stringify(attributes)}'`;
}

/** Makes the queue of this ARN, with SQS's defaults. */
export function createQueue(arn: string): string {
  return createWith(arn, {});
}

/** Makes the dead-letter queue of this ARN, which keeps messages as long as SQS does. */
export function createDeadLetterQueue(arn: string): string {
  return createWith(arn, { MessageRetentionPeriod: '1209600' });
}

function createWith(arn: string, settings: Readonly<Record<string, string>>): string {
  const attributes = { ...settings, ...(arn.endsWith('.fifo') && { FifoQueue: 'true' }) };
  const flag = Object.keys(attributes).length > 0 ? ` --attributes '${JSON.stringify(attributes)}'` : '';
  return `aws sqs create-queue --region ${regionOf(arn)} --queue-name ${arn.split(':').at(-1)}${flag}`;
}

/** The value of the attribute RedrivePolicy. */
export function redrivePolicy(deadLetterTargetArn: string, maxReceiveCount: number): string {
  return JSON.stringify({ deadLetterTargetArn, maxReceiveCount: String(maxReceiveCount) });
}

function regionOf(arn: string): string {
  return arn.split(':')[3] ?? '';
}
