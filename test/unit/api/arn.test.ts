import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { ARN_PATTERN, matchesArn, queueArnOf } from '../../../operator/api/arn.ts';
import { parseQueueUrl } from '../../../operator/api/queue-url.ts';

describe('the ARN of a queue', () => {
  test.each([
    ['https://sqs.us-east-1.amazonaws.com', 'arn:aws:sqs:us-east-1:123456789012:orders'],
    ['https://queue.amazonaws.com', 'arn:aws:sqs:us-east-1:123456789012:orders'],
    ['https://us-west-2.queue.amazonaws.com:443', 'arn:aws:sqs:us-west-2:123456789012:orders'],
    ['https://SQS-FIPS.us-west-2.api.aws', 'arn:aws:sqs:us-west-2:123456789012:orders'],
    [
      'https://vpce-0a-1b-us-west-2a.sqs.us-west-2.vpce.amazonaws.com',
      'arn:aws:sqs:us-west-2:123456789012:orders',
    ],
    ['https://sqs.cn-north-1.amazonaws.com.cn', 'arn:aws-cn:sqs:cn-north-1:123456789012:orders'],
    ['https://sqs.us-gov-west-1.amazonaws.com', 'arn:aws-us-gov:sqs:us-gov-west-1:123456789012:orders'],
    ['https://sqs.eusc-de-east-1.amazonaws.eu', 'arn:aws-eusc:sqs:eusc-de-east-1:123456789012:orders'],
    ['https://sqs.us-iso-east-1.c2s.ic.gov', 'arn:aws-iso:sqs:us-iso-east-1:123456789012:orders'],
    ['http://sqs.us-west-2.amazonaws.com', 'arn:aws-us-gov:sqs:us-gov-east-1:123456789012:orders'],
    ['http://localhost:9324', 'arn:aws-us-gov:sqs:us-gov-east-1:123456789012:orders'],
  ])('at %s is %s', (origin, arn) => {
    const url = parseQueueUrl(`${origin}/123456789012/orders`);
    expect(url && queueArnOf(url, 'us-gov-east-1')).toBe(arn);
  });
});

describe('an ARN pattern', () => {
  const ARN = 'arn:aws:sqs:us-east-1:123456789012:orders.fifo';

  test.each([
    ['arn:*', true],
    [ARN, true],
    ['arn:aws:sqs:us-east-1:123456789012:*', true],
    ['arn:aws:sqs:us-*:123456789012:orders.????', true],
    ['arn:aws:sqs:*:*:*.fifo', true],
    ['arn:aws:sqs:us-east-1:123456789012:orders', false],
    ['arn:aws:sqs:us-east-1:123456789012:Orders*', false],
    ['arn:aws:sqs:us-east-1:123456789012:orders?', false],
    ['arn:aws:sqs:us-east-1:12345678901:*', false],
    ['arn:aws:sqs:us-east-1:123456789012:orders?fif', false],
    ['sqs', false],
  ])('%s is true of a queue: %s', (pattern, expected) => {
    expect(matchesArn(pattern, ARN)).toBe(expected);
  });

  test('means itself where it has no wildcard', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^arn:[A-Za-z0-9:_.-]{1,40}$/), fc.string(), (pattern, other) => {
        expect(ARN_PATTERN.test(pattern)).toBe(true);
        expect(matchesArn(pattern, pattern)).toBe(true);
        expect(matchesArn(pattern, other)).toBe(pattern === other);
      }),
    );
  });
});
