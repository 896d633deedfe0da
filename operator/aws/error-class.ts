import type { Verdict } from '../errors.ts';

/** One kind of AWS errors: the names AWS has for it, and what follows. `Asked`: what the remedy depends on. */
export interface ErrorClass<Asked> {
  /** A condition's reason. */
  readonly code: string;
  readonly verdict: Verdict;
  readonly names: readonly string[];
  /** What somebody must do; part of the message, because it ends up in a condition. */
  readonly remedy?: (asked: Asked) => string;
}

/** What is done about an error, whatever its name is. */
export type ErrorHandling<Asked> = Omit<ErrorClass<Asked>, 'names'>;

/** Too many requests, in the words of all services. */
export const THROTTLED_NAMES = [
  'Throttling',
  'ThrottlingException',
  'ThrottledException',
  'RequestThrottled',
  'RequestLimitExceeded',
  'TooManyRequestsException',
] as const;

/** The caller may not, or is nobody that AWS knows. */
export const DENIED_NAMES = [
  'AccessDenied',
  'AccessDeniedException',
  'InvalidClientTokenId',
  'UnrecognizedClientException',
  'InvalidSignatureException',
  'SignatureDoesNotMatch',
  'MissingAuthenticationToken',
  'NotAuthorized',
  'OptInRequired',
] as const;

/** The caller's credentials have run out. */
export const EXPIRED_NAMES = ['ExpiredToken', 'ExpiredTokenException'] as const;

/** The first class that knows the name; `otherwise` for one that none of them knows. */
export function classNamed<Asked>(
  classes: readonly ErrorClass<Asked>[],
  name: string,
  otherwise: ErrorHandling<Asked>,
): ErrorHandling<Asked> {
  return classes.find(({ names }) => names.includes(name)) ?? otherwise;
}

/** Name and words of whatever was thrown, the words on one line and without a full stop at their end. */
export function wordsOf(error: unknown): { readonly name: string; readonly text: string } {
  const name = error instanceof Error ? error.name : 'Error';
  const text = error instanceof Error ? error.message : String(error);
  return { name, text: text.replaceAll(/\s+/g, ' ').trim().replace(/\.$/, '') };
}
