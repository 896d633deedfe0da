import { type Check, faulty, passed, unchecked, warned } from '../plan/preflight.ts';
import { type QueueReader, readerOf } from '../plan/queue-reader.ts';
import type { QueueReaders, ReaderState } from '../world.ts';
import type { PreflightCheck } from './preflight.ts';

/** A ServiceAccount that was deleted, or lost its role, is noticed within a minute, in milliseconds. */
const PERIOD_MS = 30_000;
/** Somebody waits for a fault to be seen as mended. */
const FAULTY_PERIOD_MS = 10_000;

/** Can the queue be read in the name of its ServiceAccount? */
export function serviceAccountCheck(readers: QueueReaders): PreflightCheck {
  return {
    name: 'serviceAccount',
    dependsOn: ({ queue }) => readerOf(queue),
    run: async ({ queue }) => {
      const reader = readerOf(queue);
      const state = await readers.check(reader);
      const answer = answerOf(reader, state);
      return { ...answer, recheckAfterMs: answer.status === 'True' ? PERIOD_MS : FAULTY_PERIOD_MS };
    },
  };
}

function answerOf({ serviceAccountName }: QueueReader, state: ReaderState): Check {
  if (state.kind === 'operator') {
    const message =
      "The queue is read with the operator's own AWS identity, which the installer lends to this namespace for it.";
    return passed('OperatorIdentity', message);
  }
  const { roleArn, problem } = state;
  if (roleArn === undefined)
    return problem
      ? faulty(problem.code, problem.message)
      : unchecked('CheckFailed', 'Nothing is known of its role.');
  if (!problem)
    return passed(
      'RoleAssumed',
      `The queue is read as ServiceAccount ${serviceAccountName}, with ${roleArn}.`,
    );
  const meanwhile = 'Until the credentials at hand expire, within the hour, messages are read with them.';
  return warned(problem.code, `${problem.message} ${meanwhile}`);
}
