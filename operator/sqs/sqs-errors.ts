import { OperatorError, type Verdict } from '../errors.ts';

/**
 * AWS errors, sorted once. The SDK retries what it knows to be transient; the rest is sorted here into what somebody
 * must change (`terminal`), what passes (`retry`) and what says that a lease is gone (`lost`).
 */

interface Class {
  readonly code: string;
  readonly verdict: Verdict;
  readonly names: readonly string[];
  /** What somebody must do; part of the message, because it ends up in a condition. */
  readonly remedy?: string;
}

const CLASSES: readonly Class[] = [
  {
    code: 'QueueNotFound',
    verdict: 'terminal',
    names: ['QueueDoesNotExist', 'AWS.SimpleQueueService.NonExistentQueue', 'InvalidAddress'],
    remedy: 'Create the queue, or correct region, account and name in spec.queue.url.',
  },
  {
    code: 'QueueAccessDenied',
    verdict: 'terminal',
    names: [
      'AccessDenied',
      'AccessDeniedException',
      'InvalidClientTokenId',
      'UnrecognizedClientException',
      'SignatureDoesNotMatch',
      'InvalidSecurity',
      'ExpiredToken',
      'ExpiredTokenException',
      'KmsAccessDenied',
      'KmsDisabled',
      'KmsInvalidState',
      'KmsInvalidKeyUsage',
      'KmsNotFound',
      'KmsOptInRequired',
    ],
    remedy:
      "Allow the operator's identity sqs:ReceiveMessage, sqs:DeleteMessage, sqs:ChangeMessageVisibility and " +
      'sqs:GetQueueAttributes on the queue, and kms:Decrypt on its key if it has one.',
  },
  {
    code: 'NoCredentials',
    verdict: 'terminal',
    names: ['CredentialsProviderError', 'ProviderError'],
    remedy: 'Give the operator an AWS identity (IRSA, EKS Pod Identity) or credentials in its environment.',
  },
  {
    code: 'Throttled',
    verdict: 'retry',
    // KmsThrottled and OverLimit come as 400 and 403, so the SDK does not retry them.
    names: [
      'RequestThrottled',
      'ThrottlingException',
      'TooManyRequestsException',
      'KmsThrottled',
      'OverLimit',
    ],
  },
  {
    code: 'LeaseLost',
    verdict: 'lost',
    names: ['ReceiptHandleIsInvalid', 'MessageNotInflight', 'AWS.SimpleQueueService.MessageNotInflight'],
  },
];

/** Messages of InvalidParameterValue by which SQS says that a receipt handle no longer holds its message. */
const LOST_LEASE_TEXT =
  /receipt handle has expired|not available for visibility timeout change|receipthandle/i;

/** What went wrong in an SQS call, as an OperatorError; the message names the operation and never a receipt handle. */
export function sqsError(operation: string, error: unknown): OperatorError {
  if (error instanceof OperatorError) return error;
  const name = error instanceof Error ? error.name : 'Error';
  const text = error instanceof Error ? error.message : String(error);
  return classified(operation, name, text, error);
}

/** The same for a failed entry of a batch call, which carries a code instead of an exception. */
export function sqsEntryError(
  operation: string,
  code: string | undefined,
  text: string | undefined,
): OperatorError {
  return classified(operation, code ?? 'Error', text ?? '', undefined);
}

function classified(operation: string, name: string, text: string, cause: unknown): OperatorError {
  const known = CLASSES.find(({ names }) => names.includes(name));
  const lost = name.endsWith('InvalidParameterValue') && LOST_LEASE_TEXT.test(text);
  const { code, verdict, remedy }: Omit<Class, 'names'> = known ?? (lost ? LOST : OTHER);
  // The text of a lost lease quotes the receipt handle.
  const detail = verdict === 'lost' ? name : `${name}: ${text}`;
  const message = [`${operation}: ${detail}`, remedy].filter(Boolean).join(' ');
  return new OperatorError({ code, verdict, message, cause });
}

const LOST = { code: 'LeaseLost', verdict: 'lost' } as const;
const OTHER = { code: 'QueueUnreachable', verdict: 'retry' } as const;
