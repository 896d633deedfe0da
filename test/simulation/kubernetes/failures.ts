import { OperatorError } from '../../../operator/errors.ts';

interface FailureOptions {
  /** The request may have been carried out although no answer came. */
  readonly outcomeUnknown?: boolean;
  readonly retryAfterMs?: number;
}

/** An error as the Kubernetes adapter gives it. */
export function kubeFailure(
  code: string,
  verdict: 'retry' | 'terminal',
  { outcomeUnknown, retryAfterMs }: FailureOptions = {},
): OperatorError {
  return new OperatorError({
    code,
    verdict,
    message: `kube: ${code}`,
    ...(outcomeUnknown !== undefined && { outcomeUnknown }),
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  });
}
