import { OperatorError } from '../../../operator/errors.ts';

/** An error as the SQS adapter gives it. */
export function sqsFailure(code: string, verdict: 'retry' | 'terminal' | 'lost'): OperatorError {
  return new OperatorError({ code, verdict, message: `sqs: ${code}` });
}
