/**
 * The session policy of somebody who reads this queue, and nothing else of what its role may: what is in neither of the two
 * is refused. For a dead-letter queue the same, under its own ARN.
 */
export function sessionPolicy(queueArn: string): string {
  return JSON.stringify({
    Version: '2012-10-17',
    Statement: [
      {
        Effect: 'Allow',
        Action: [
          'sqs:ReceiveMessage',
          'sqs:DeleteMessage',
          'sqs:ChangeMessageVisibility',
          'sqs:GetQueueAttributes',
          'sqs:SendMessage',
        ],
        Resource: queueArn,
      },
      // The key of the queue: which one that is, only the queue knows.
      {
        Effect: 'Allow',
        Action: ['kms:Decrypt', 'kms:GenerateDataKey'],
        Resource: '*',
        Condition: { StringLike: { 'kms:ViaService': 'sqs.*' } },
      },
      // Tags become digests; a pull token may do what the session may that it was made in.
      {
        Effect: 'Allow',
        Action: [
          'ecr:GetAuthorizationToken',
          'ecr:DescribeImages',
          'ecr:DescribePullThroughCacheRules',
          'ecr:BatchGetImage',
          'ecr:GetDownloadUrlForLayer',
          'ecr:BatchCheckLayerAvailability',
          'ecr:BatchImportUpstreamImage',
        ],
        Resource: '*',
      },
    ],
  });
}
