import {
  classNamed,
  DENIED_NAMES,
  type ErrorClass,
  type ErrorHandling,
  EXPIRED_NAMES,
  THROTTLED_NAMES,
  wordsOf,
} from '../aws/error-class.ts';
import { allowing, type MissingPolicy, type Refusal } from '../aws/iam-command.ts';
import { OperatorError } from '../errors.ts';
import { createQueue } from '../plan/aws-command.ts';

/**
 * AWS errors, sorted once:
 *
 * | class         | verdict    | what follows                                                                  |
 * | ------------- | ---------- | ----------------------------------------------------------------------------- |
 * | configuration | `terminal` | somebody must change something; the message says what                         |
 * | throttling    | `retry`    | passes; the SDK repeats only some of them (not KmsThrottled, not OverLimit)   |
 * | lease lost    | `lost`     | the receipt handle no longer holds its message; SQS brings it back            |
 * | transient     | `retry`    | everything else: sockets, timeouts, 5xx, and what is not known                |
 *
 * None of them has `outcomeUnknown`: a receive, a change of visibility, a delete and a copy to a dead-letter queue may
 * each be repeated without asking first, see `MessageQueue`.
 */

/** What a remedy depends on. */
interface Asked extends Refusal {
  readonly whose: string;
  readonly queueArn: string | undefined;
}

type SqsErrorClass = ErrorClass<Asked>;

const DENIED = [...DENIED_NAMES, 'InvalidSecurity', 'KmsAccessDenied', 'KMS.AccessDeniedException'];
const KEY_UNUSABLE = [
  'KmsDisabled',
  'KMS.DisabledException',
  'KmsInvalidState',
  'KMS.InvalidStateException',
  'KmsInvalidKeyUsage',
  'KMS.InvalidKeyUsageException',
  'KmsNotFound',
  'KMS.NotFoundException',
  'KmsOptInRequired',
  'KMS.OptInRequired',
];
const NOT_FOUND = ['QueueDoesNotExist', 'NonExistentQueue', 'InvalidAddress'];
/** What reading a queue takes. */
const READING = [
  'sqs:ReceiveMessage',
  'sqs:DeleteMessage',
  'sqs:ChangeMessageVisibility',
  'sqs:GetQueueAttributes',
] as const;

const PASSING_OR_LOST: readonly SqsErrorClass[] = [
  {
    code: 'Throttled',
    verdict: 'retry',
    names: [...THROTTLED_NAMES, 'KmsThrottled', 'KMS.ThrottlingException', 'OverLimit'],
  },
  { code: 'LeaseLost', verdict: 'lost', names: ['ReceiptHandleIsInvalid', 'MessageNotInflight'] },
  {
    code: 'CredentialsExpired',
    verdict: 'terminal',
    names: EXPIRED_NAMES,
    remedy: ({ whose }) => `The credentials of ${whose} have run out: renew what they come from.`,
  },
  {
    code: 'NoCredentials',
    verdict: 'terminal',
    names: ['CredentialsProviderError', 'ProviderError'],
    remedy: () =>
      'Give the operator an AWS identity (IRSA, EKS Pod Identity) or credentials in its environment.',
  },
];

const CLASSES: readonly SqsErrorClass[] = [
  ...PASSING_OR_LOST,
  {
    code: 'QueueNotFound',
    verdict: 'terminal',
    names: NOT_FOUND,
    remedy: ({ queueArn }) => {
      const command = queueArn === undefined ? '' : `: ${createQueue(queueArn)}`;
      return `Correct region, account and name in spec.queue.url, or create the queue${command}`;
    },
  },
  {
    code: 'QueueAccessDenied',
    verdict: 'terminal',
    names: DENIED,
    remedy: (asked) =>
      `Allow ${asked.whose} sqs:ReceiveMessage, sqs:DeleteMessage, sqs:ChangeMessageVisibility and ` +
      'sqs:GetQueueAttributes on the queue, and kms:Decrypt on its key if it has one. (To a role that eksctl has made, ' +
      `eksctl create iamserviceaccount adds nothing; eksctl update iamserviceaccount does.)${allowing(asked, missing(asked, READING))}`,
  },
  {
    code: 'QueueKeyUnusable',
    verdict: 'terminal',
    names: KEY_UNUSABLE,
    remedy: () =>
      "Messages are encrypted with a KMS key that cannot be used: enable it, or correct the queue's KmsMasterKeyId.",
  },
  { code: 'RequestRefused', verdict: 'terminal', names: ['InvalidParameterValue', 'UnsupportedOperation'] },
];

/** Codes of their own: that the dead-letter queue is gone says nothing about the queue. */
const DEAD_LETTER_CLASSES: readonly SqsErrorClass[] = [
  ...PASSING_OR_LOST,
  {
    code: 'DeadLetterQueueNotFound',
    verdict: 'terminal',
    names: NOT_FOUND,
    remedy: () => "Create the dead-letter queue, or correct the queue's redrive policy.",
  },
  {
    code: 'DeadLetterAccessDenied',
    verdict: 'terminal',
    names: [...DENIED, ...KEY_UNUSABLE],
    remedy: (asked) =>
      `Allow ${asked.whose} sqs:SendMessage on the dead-letter queue, and kms:GenerateDataKey and ` +
      `kms:Decrypt on its key if it has one; or set spec.deadLetter.sendRejected to false.${allowing(asked, missing(asked, ['sqs:SendMessage']))}`,
  },
  {
    code: 'DeadLetterRefused',
    verdict: 'terminal',
    names: [
      'InvalidParameterValue',
      'InvalidMessageContents',
      'MissingParameter',
      'BatchRequestTooLong',
      'UnsupportedOperation',
    ],
    remedy: () => "The dead-letter queue must be of its source's type and take messages of the same size.",
  },
];

/** How SQS says with InvalidParameterValue that a receipt handle no longer holds its message. */
const LOST_LEASE_TEXT =
  /receipt handle has expired|not available for visibility timeout change|parameter ReceiptHandle|receipthandle/i;
/** The twelve hours are over: no more can be had, and the message comes back at the end of its present timeout. */
const CEILING_TEXT = /total visibilitytimeout .* beyond the limit/i;
/** SQS no longer knows the receive that was to be repeated; the next one is a new one. */
const ATTEMPT_TEXT = /receiverequestattemptid/i;

const LOST = { code: 'LeaseLost', verdict: 'lost' } as const;
const CEILING = { code: 'LeaseCeiling', verdict: 'lost' } as const;
const OTHER = { code: 'QueueUnreachable', verdict: 'retry' } as const;

/** What was asked of SQS, for the error's message and for what to do about it. */
export type Operation =
  | 'ReceiveMessage'
  | 'DeleteMessage'
  | 'ChangeMessageVisibility'
  | 'GetQueueAttributes'
  | 'SendMessage';

/** Where a failure comes from. */
export interface Call {
  readonly operation: Operation;
  /** In whose name it was made, for who must be allowed what. */
  readonly whose?: string;
  /** Of the queue that was asked for, for the command that allows it. */
  readonly queueArn?: string | undefined;
  /** The receipt handles it carried: whoever reads one may delete the message, so no error quotes them. */
  readonly handles?: readonly string[];
}

/** What went wrong in an SQS call, as an OperatorError; the message names the operation and never a receipt handle. */
export function sqsError(call: Call, error: unknown): OperatorError {
  if (error instanceof OperatorError) return error;
  const { name, text } = wordsOf(error);
  return classified(call, name, text, error);
}

/** The same for a failed entry of a batch call, which carries a code instead of an exception. */
export function sqsEntryError(call: Call, code: string | undefined, text: string | undefined): OperatorError {
  return classified(call, code ?? 'Error', text ?? '', undefined);
}

function classified(call: Call, name: string, text: string, cause: unknown): OperatorError {
  const { operation, whose = 'the identity that reads the queue', queueArn, handles = [] } = call;
  const bare = bareName(name);
  const { code, verdict, remedy } = classOf(operation, bare, text, cause);
  const clean = handles.reduce((rest, handle) => rest.replaceAll(handle, '…'), text);
  // The text of a lost lease is about its receipt handle and nothing else.
  const detail = verdict === 'lost' ? bare : `${bare}: ${clean.replace(/\.$/, '')}.`;
  const message = [`${operation}: ${detail}`, remedy?.({ whose, queueArn, name: bare, text: clean })]
    .filter(Boolean)
    .join(' ');
  const isQuotable = verdict !== 'lost' && clean === text;
  return new OperatorError({ code, verdict, message, ...(isQuotable && { cause }) });
}

function classOf(operation: Operation, name: string, text: string, cause: unknown): ErrorHandling<Asked> {
  if (name === 'InvalidParameterValue') {
    if (CEILING_TEXT.test(text)) return CEILING;
    if (ATTEMPT_TEXT.test(text)) return OTHER;
    if (LOST_LEASE_TEXT.test(text)) return LOST;
  }
  const classes = operation === 'SendMessage' ? DEAD_LETTER_CLASSES : CLASSES;
  return classNamed(
    classes,
    name,
    httpStatusOf(cause) === 429 ? { code: 'Throttled', verdict: 'retry' } : OTHER,
  );
}

/** What a role lacks on the queue; undefined when that is not known. */
function missing({ queueArn }: Asked, actions: readonly string[]): MissingPolicy | undefined {
  return queueArn === undefined
    ? undefined
    : { name: `batchqueue-${queueArn.split(':').at(-1)}`, actions, resource: queueArn };
}

/** The older protocol's names have a prefix (`AWS.SimpleQueueService.NonExistentQueue`). */
function bareName(name: string): string {
  return name.replace(/^(?:AWS\.SimpleQueueService\.|com\.amazonaws\.sqs#)/, '');
}

function httpStatusOf(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null || !('$metadata' in error)) return undefined;
  const metadata = error.$metadata;
  if (typeof metadata !== 'object' || metadata === null || !('httpStatusCode' in metadata)) return undefined;
  return typeof metadata.httpStatusCode === 'number' ? metadata.httpStatusCode : undefined;
}
