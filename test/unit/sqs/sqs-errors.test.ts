import { describe, expect, test } from '@jest/globals';
import { OperatorError } from '../../../operator/errors.ts';
import { sqsEntryError, sqsError } from '../../../operator/sqs/sqs-errors.ts';

function named(name: string, message = 'text'): Error {
  return Object.assign(new Error(message), { name });
}

const HANDLE = 'AQEBsecretreceipthandle';

describe('an error of SQS', () => {
  test.each([
    ['QueueDoesNotExist', 'QueueNotFound', 'terminal'],
    ['AWS.SimpleQueueService.NonExistentQueue', 'QueueNotFound', 'terminal'],
    ['InvalidAddress', 'QueueNotFound', 'terminal'],
    ['AccessDenied', 'QueueAccessDenied', 'terminal'],
    ['AccessDeniedException', 'QueueAccessDenied', 'terminal'],
    ['InvalidClientTokenId', 'QueueAccessDenied', 'terminal'],
    ['SignatureDoesNotMatch', 'QueueAccessDenied', 'terminal'],
    ['ExpiredToken', 'QueueAccessDenied', 'terminal'],
    ['KmsAccessDenied', 'QueueAccessDenied', 'terminal'],
    ['KmsDisabled', 'QueueAccessDenied', 'terminal'],
    ['CredentialsProviderError', 'NoCredentials', 'terminal'],
    ['RequestThrottled', 'Throttled', 'retry'],
    ['ThrottlingException', 'Throttled', 'retry'],
    ['KmsThrottled', 'Throttled', 'retry'],
    ['OverLimit', 'Throttled', 'retry'],
    ['ReceiptHandleIsInvalid', 'LeaseLost', 'lost'],
    ['MessageNotInflight', 'LeaseLost', 'lost'],
    ['TimeoutError', 'QueueUnreachable', 'retry'],
    ['InternalError', 'QueueUnreachable', 'retry'],
    ['InvalidParameterValue', 'QueueUnreachable', 'retry'],
  ])('%s is %s (%s), as an exception and as a failed entry', (name, code, verdict) => {
    expect(sqsError('ReceiveMessage', named(name))).toMatchObject({ code, verdict });
    expect(sqsEntryError('DeleteMessage', name, 'text')).toMatchObject({ code, verdict });
  });

  test.each([
    [
      'an expired handle',
      `Value ${HANDLE} for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired.`,
      'lost',
    ],
    [
      'a message that is not in flight',
      `Value ${HANDLE} for parameter ReceiptHandle is invalid. Reason: Message does not exist or is not available for visibility timeout change.`,
      'lost',
    ],
    [
      'a timeout beyond twelve hours',
      'Value 43201 for parameter VisibilityTimeout is invalid. Reason: Must be between 0 and 43200',
      'retry',
    ],
  ])('that calls a parameter invalid because of %s', (_, text, verdict) => {
    expect(sqsError('ChangeMessageVisibility', named('InvalidParameterValue', text)).verdict).toBe(verdict);
    expect(sqsEntryError('ChangeMessageVisibility', 'InvalidParameterValue', text).verdict).toBe(verdict);
  });

  test.each(['ReceiptHandleIsInvalid', 'InvalidParameterValue', 'AWS.SimpleQueueService.MessageNotInflight'])(
    'never quotes the receipt handle (%s)',
    (name) => {
      const text = `The receipt handle has expired: ${HANDLE} is not a valid ReceiptHandle`;
      const error = sqsEntryError('ChangeMessageVisibility', name, text);
      expect(error.verdict).toBe('lost');
      expect(error.message).not.toContain(HANDLE);
      expect(error.message).toContain('ChangeMessageVisibility');
    },
  );

  test('says what was asked, what came back and what to do', () => {
    const { message } = sqsError('ReceiveMessage', named('AccessDenied', 'User x is not authorized'));
    expect(message).toContain('ReceiveMessage: AccessDenied: User x is not authorized');
    expect(message).toContain('sqs:ReceiveMessage');
    expect(sqsError('ReceiveMessage', named('QueueDoesNotExist')).message).toContain('spec.queue.url');
  });

  test('that has been sorted already stays as it is', () => {
    const error = new OperatorError({ code: 'HostNotAllowed', verdict: 'terminal', message: 'm' });
    expect(sqsError('ReceiveMessage', error)).toBe(error);
  });

  test('without a name or a text is one that passes', () => {
    expect(sqsError('ReceiveMessage', 'odd')).toMatchObject({ code: 'QueueUnreachable', verdict: 'retry' });
    expect(sqsEntryError('DeleteMessage', undefined, undefined)).toMatchObject({ verdict: 'retry' });
  });
});
