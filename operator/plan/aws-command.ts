/** Commands of the AWS CLI as they stand in conditions: whoever reads one can paste it. */

/** Sets attributes of the queue at this URL. `arn`: its ARN, for its region. */
export function setQueueAttributes(
  url: string,
  arn: string,
  attributes: Readonly<Record<string, string>>,
): string {
  return `aws sqs set-queue-attributes --region ${regionOf(arn)} --queue-url ${url} --attributes '${JSON.stringify(attributes)}'`;
}

/** Makes the dead-letter queue of this ARN, which keeps messages as long as SQS does. */
export function createDeadLetterQueue(arn: string): string {
  const attributes = {
    MessageRetentionPeriod: '1209600',
    ...(arn.endsWith('.fifo') && { FifoQueue: 'true' }),
  };
  return `aws sqs create-queue --region ${regionOf(arn)} --queue-name ${arn.split(':').at(-1)} --attributes '${JSON.stringify(attributes)}'`;
}

/** The value of the attribute RedrivePolicy. */
export function redrivePolicy(deadLetterTargetArn: string, maxReceiveCount: number): string {
  return JSON.stringify({ deadLetterTargetArn, maxReceiveCount: String(maxReceiveCount) });
}

function regionOf(arn: string): string {
  return arn.split(':')[3] ?? '';
}
