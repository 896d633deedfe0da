import { describe, expect, test } from '@jest/globals';
import { OperatorError } from '../../../operator/errors.ts';
import { type Operation, sqsEntryError, sqsError } from '../../../operator/sqs/sqs-errors.ts';

function named(name: string, message = 'text'): Error {
  return Object.assign(new Error(message), { name });
}

const HANDLE =
  'AQEBwOHJSwLgisMDyCK1AFH5FUd9+8HtNECZNi23w3QkdI4lR6Ey4YRXZM0wj8XR6Q9xHXDBRX0l9PWswS5EGIrE0pVGJR';
const HANDLE_REFUSED = `Value ${HANDLE} for parameter ReceiptHandle is invalid. Reason:`;

describe('an error of SQS', () => {
  test.each([
    ['QueueDoesNotExist', 'QueueNotFound', 'terminal'],
    ['AWS.SimpleQueueService.NonExistentQueue', 'QueueNotFound', 'terminal'],
    ['InvalidAddress', 'QueueNotFound', 'terminal'],
    ['AccessDenied', 'QueueAccessDenied', 'terminal'],
    ['AccessDeniedException', 'QueueAccessDenied', 'terminal'],
    ['InvalidClientTokenId', 'QueueAccessDenied', 'terminal'],
    ['UnrecognizedClientException', 'QueueAccessDenied', 'terminal'],
    ['SignatureDoesNotMatch', 'QueueAccessDenied', 'terminal'],
    ['InvalidSecurity', 'QueueAccessDenied', 'terminal'],
    ['KmsAccessDenied', 'QueueAccessDenied', 'terminal'],
    ['KmsDisabled', 'QueueKeyUnusable', 'terminal'],
    ['KmsInvalidState', 'QueueKeyUnusable', 'terminal'],
    ['KmsInvalidKeyUsage', 'QueueKeyUnusable', 'terminal'],
    ['KmsNotFound', 'QueueKeyUnusable', 'terminal'],
    ['KmsOptInRequired', 'QueueKeyUnusable', 'terminal'],
    ['KMS.AccessDeniedException', 'QueueAccessDenied', 'terminal'],
    ['KMS.DisabledException', 'QueueKeyUnusable', 'terminal'],
    ['MissingAuthenticationToken', 'QueueAccessDenied', 'terminal'],
    ['OptInRequired', 'QueueAccessDenied', 'terminal'],
    ['ExpiredToken', 'CredentialsExpired', 'terminal'],
    ['ExpiredTokenException', 'CredentialsExpired', 'terminal'],
    ['CredentialsProviderError', 'NoCredentials', 'terminal'],
    ['UnsupportedOperation', 'RequestRefused', 'terminal'],
    ['InvalidParameterValue', 'RequestRefused', 'terminal'],
    ['RequestThrottled', 'Throttled', 'retry'],
    ['ThrottlingException', 'Throttled', 'retry'],
    ['KmsThrottled', 'Throttled', 'retry'],
    ['KMS.ThrottlingException', 'Throttled', 'retry'],
    ['OverLimit', 'Throttled', 'retry'],
    ['AWS.SimpleQueueService.OverLimit', 'Throttled', 'retry'],
    ['ReceiptHandleIsInvalid', 'LeaseLost', 'lost'],
    ['MessageNotInflight', 'LeaseLost', 'lost'],
    ['AWS.SimpleQueueService.MessageNotInflight', 'LeaseLost', 'lost'],
    ['TimeoutError', 'QueueUnreachable', 'retry'],
    ['InternalError', 'QueueUnreachable', 'retry'],
    ['ServiceUnavailable', 'QueueUnreachable', 'retry'],
    ['RequestExpired', 'QueueUnreachable', 'retry'],
    ['something of next year', 'QueueUnreachable', 'retry'],
  ])('%s is %s (%s), as an exception and as a failed entry', (name, code, verdict) => {
    expect(sqsError({ operation: 'ReceiveMessage' }, named(name))).toMatchObject({ code, verdict });
    expect(sqsEntryError({ operation: 'DeleteMessage' }, name, 'text')).toMatchObject({ code, verdict });
  });

  test.each(['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ENOTFOUND', 'EAI_AGAIN', 'ETIMEDOUT'])(
    'of the network (%s) passes',
    (code) => {
      const error = Object.assign(new Error(`connect ${code} 127.0.0.1:1`), { code });
      expect(sqsError({ operation: 'DeleteMessage' }, error)).toMatchObject({
        code: 'QueueUnreachable',
        verdict: 'retry',
        outcomeUnknown: false,
      });
    },
  );

  test('with status 429 is throttling, whatever it is called', () => {
    const error = Object.assign(named('Unknown'), { $metadata: { httpStatusCode: 429 } });
    expect(sqsError({ operation: 'ReceiveMessage' }, error)).toMatchObject({ code: 'Throttled' });
  });
});

describe('what helps against an error of SQS is a command', () => {
  const queueArn = 'arn:aws:sqs:us-east-1:123456789012:orders';
  const user = 'User: arn:aws:sts::123456789012:assumed-role/poller/batchqueue@team-a.poller';
  const denied = `${user} is not authorized to perform: sqs:receivemessage on resource: ${queueArn}`;
  const told = (operation: Operation, name: string, text: string, arn: string | undefined = queueArn) =>
    sqsError({ operation, queueArn: arn }, named(name, text)).message;
  const PUT =
    /aws iam put-role-policy --role-name (\S+) --policy-name batchqueue-orders --policy-document '(.*)'\)$/;

  test.each([
    ['ReceiveMessage', ['ReceiveMessage', 'DeleteMessage', 'ChangeMessageVisibility', 'GetQueueAttributes']],
    ['SendMessage', ['SendMessage']],
  ] as const)('that allows the refused role what %s needs', (operation, actions) => {
    const [, role, policy = ''] = PUT.exec(told(operation, 'AccessDenied', denied)) ?? [];
    expect(role).toBe('poller');
    expect(JSON.parse(policy)).toEqual({
      Version: '2012-10-17',
      Statement: [{ Effect: 'Allow', Action: actions.map((action) => `sqs:${action}`), Resource: queueArn }],
    });
  });

  test('that leaves the role open where SQS does not name it', () => {
    expect(PUT.exec(told('ReceiveMessage', 'AccessDenied', 'no'))?.[1]).toBe('<role>');
  });

  test.each([
    ['an explicit deny', 'AccessDenied', `${denied} with an explicit deny in a resource-based policy`],
    ['a key', 'KMS.AccessDeniedException', 'The ciphertext refers to a key that you may not use'],
    ['credentials that are none', 'InvalidClientTokenId', 'The security token is invalid'],
  ])('unless it is about %s', (_, name, text) => {
    expect(told('ReceiveMessage', name, text)).not.toContain('aws iam');
  });

  test('that makes a missing queue', () => {
    const missing = (name: string) =>
      told('ReceiveMessage', 'QueueDoesNotExist', 'x', queueArn.replace('orders', name));
    const create = 'aws sqs create-queue --region us-east-1 --queue-name';
    expect(missing('orders')).toMatch(new RegExp(`${create} orders$`));
    expect(missing('orders.fifo')).toContain(`${create} orders.fifo --attributes '{"FifoQueue":"true"}'`);
  });
});

describe('an invalid parameter', () => {
  const cases: [string, Operation, string, Partial<OperatorError>][] = [
    [
      'a handle that has expired, on a FIFO queue',
      'DeleteMessage',
      `${HANDLE_REFUSED} The receipt handle has expired.`,
      { code: 'LeaseLost', verdict: 'lost' },
    ],
    [
      'a message that is gone',
      'ChangeMessageVisibility',
      `${HANDLE_REFUSED} Message does not exist or is not available for visibility timeout change.`,
      { code: 'LeaseLost', verdict: 'lost' },
    ],
    [
      'the same in short',
      'ChangeMessageVisibility',
      'Message does not exist or is not available for visibility timeout change.',
      { code: 'LeaseLost', verdict: 'lost' },
    ],
    [
      'a handle that is none',
      'DeleteMessage',
      `The input receipt handle "${HANDLE}" is not a valid ReceiptHandle`,
      { code: 'LeaseLost', verdict: 'lost' },
    ],
    [
      'more than is left of twelve hours',
      'ChangeMessageVisibility',
      'Value 43200 for parameter VisibilityTimeout is invalid. ' +
        'Reason: Total VisibilityTimeout for the message is beyond the limit [43200 seconds]',
      { code: 'LeaseCeiling', verdict: 'lost' },
    ],
    [
      'more than twelve hours',
      'ChangeMessageVisibility',
      'Value 43201 for parameter VisibilityTimeout is invalid. Reason: Must be between 0 and 43200, if provided.',
      { code: 'RequestRefused', verdict: 'terminal' },
    ],
    [
      'a receive that can no longer be repeated',
      'ReceiveMessage',
      'Value 85d410a1-f61d-4aeb-a92f-a5bfa7e3e523 for parameter ReceiveRequestAttemptId is invalid. ' +
        'Reason: The receiveRequestAttemptId is not valid anymore since the receive call is not retryable.',
      { code: 'QueueUnreachable', verdict: 'retry' },
    ],
    [
      'too long a message for the dead-letter queue',
      'SendMessage',
      'One or more parameters are invalid. Reason: Message must be shorter than 262144 bytes.',
      { code: 'DeadLetterRefused', verdict: 'terminal' },
    ],
  ];

  test.each(cases)('is %s', (_, operation, text, sorted) => {
    for (const name of ['InvalidParameterValue', 'AWS.SimpleQueueService.InvalidParameterValue']) {
      const call = { operation, handles: [HANDLE] };
      for (const error of [sqsError(call, named(name, text)), sqsEntryError(call, name, text)]) {
        expect(error).toMatchObject(sorted);
        expect(error.message).not.toContain(HANDLE);
        expect(error.message).toContain(operation);
      }
    }
  });
});

describe('an error of a copy to the dead-letter queue', () => {
  test.each([
    ['QueueDoesNotExist', 'DeadLetterQueueNotFound', 'terminal', 'redrive policy'],
    ['AWS.SimpleQueueService.NonExistentQueue', 'DeadLetterQueueNotFound', 'terminal', 'redrive policy'],
    ['AccessDenied', 'DeadLetterAccessDenied', 'terminal', 'sqs:SendMessage'],
    ['KmsAccessDenied', 'DeadLetterAccessDenied', 'terminal', 'kms:GenerateDataKey'],
    ['InvalidMessageContents', 'DeadLetterRefused', 'terminal', 'type'],
    ['MissingParameter', 'DeadLetterRefused', 'terminal', 'type'],
    ['BatchRequestTooLong', 'DeadLetterRefused', 'terminal', 'size'],
    ['RequestThrottled', 'Throttled', 'retry', ''],
    ['KmsThrottled', 'Throttled', 'retry', ''],
    ['InternalError', 'QueueUnreachable', 'retry', ''],
  ])('%s is %s (%s), so that it is never taken for one of the queue', (name, code, verdict, remedy) => {
    for (const error of [
      sqsError({ operation: 'SendMessage' }, named(name)),
      sqsEntryError({ operation: 'SendMessage' }, name, 'text'),
    ]) {
      expect(error).toMatchObject({ code, verdict });
      expect(error.message).toContain(remedy);
    }
  });
});

describe('the message of an error', () => {
  test.each(['ReceiptHandleIsInvalid', 'InvalidParameterValue', 'AWS.SimpleQueueService.MessageNotInflight'])(
    'never quotes the receipt handle (%s)',
    (name) => {
      const text = `The receipt handle has expired: ${HANDLE} is not a valid ReceiptHandle`;
      const error = sqsError({ operation: 'ChangeMessageVisibility' }, named(name, text));
      expect(error.verdict).toBe('lost');
      expect(error.message).not.toContain(HANDLE);
      expect(error.cause).toBeUndefined();
    },
  );

  test('quotes no receipt handle of the request, whatever the error is', () => {
    const text = `1 validation error detected: Value '${HANDLE}' at 'receiptHandle' failed to satisfy constraint`;
    const call = { operation: 'DeleteMessage', handles: ['other', HANDLE] } as const;
    for (const error of [
      sqsError(call, named('ValidationException', text)),
      sqsEntryError(call, 'ValidationException', text),
    ]) {
      expect(error.message).toContain('failed to satisfy constraint');
      expect(error.message).not.toContain(HANDLE);
      expect(error.cause).toBeUndefined();
    }
  });

  test('says what was asked, what came back and what to do', () => {
    const { message } = sqsError(
      { operation: 'ReceiveMessage' },
      named('AccessDenied', 'User x is not authorized'),
    );
    expect(message).toContain('ReceiveMessage: AccessDenied: User x is not authorized');
    expect(message).toContain('sqs:ReceiveMessage');
    const whose = 'the role of ServiceAccount team-a/poller';
    const denied = sqsError({ operation: 'ReceiveMessage', whose }, named('AccessDenied'));
    expect(denied.message).toContain(`Allow ${whose} sqs:ReceiveMessage`);
    const missing = sqsError({ operation: 'ReceiveMessage' }, named('QueueDoesNotExist'));
    expect(missing.message).toContain('spec.queue.url');
  });
});

test('an error that has been sorted already stays as it is', () => {
  const error = new OperatorError({ code: 'HostNotAllowed', verdict: 'terminal', message: 'm' });
  expect(sqsError({ operation: 'ReceiveMessage' }, error)).toBe(error);
});

test('an error without a name or a text is one that passes', () => {
  expect(sqsError({ operation: 'ReceiveMessage' }, 'odd')).toMatchObject({
    code: 'QueueUnreachable',
    verdict: 'retry',
  });
  expect(sqsEntryError({ operation: 'DeleteMessage' }, undefined, undefined)).toMatchObject({
    verdict: 'retry',
  });
});
