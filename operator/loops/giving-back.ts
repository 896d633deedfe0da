import { isFifo } from '../plan/ledger.ts';
import type { InboxMessage } from '../plan/message.ts';
import type { ReleaseAction } from '../plan/plan.ts';
import { idsOf } from './claiming.ts';
import { assertSettled, type Subject, tell, type World } from './interpreter.ts';

/** Deletes a message that its Job has already done. Crash before: it is delivered again and discarded then. */
export async function discard(message: InboxMessage, subject: Subject, world: World): Promise<void> {
  await world.heartbeat.withdraw(message.queue, [message.id]);
  assertSettled(await world.queue.delete(message.queue, [message]));
  subject.session.intake.remove(message);
  subject.session.count('messagesDeleted');
  world.log.info(
    { queue: subject.name, messageId: message.id },
    'message delivered again after its success, deleted',
  );
}

/** Gives messages back that get no Job. Crash before: their leases run out, with the same effect. */
export async function release(action: ReleaseAction, subject: Subject, world: World): Promise<void> {
  const { messages, delaySeconds, reason } = action;
  await giveBack(messages, delaySeconds, world);
  for (const message of messages) subject.session.intake.remove(message);
  subject.session.count('messagesReleased', messages.length);
  const messageIds = messages.map(({ id }) => id);
  world.log.warn(
    { queue: subject.name, messageIds, reason, delaySeconds },
    'messages released without a job',
  );
  tell(subject, world, {
    type: 'Warning',
    reason,
    note: `Given back without a Job: ${idsOf(messages)}; visible again in ${delaySeconds} s.`,
  });
}

/** In order, one by one, on FIFO queues; otherwise in batches. Throws the first error that is not a lost lease. */
export async function giveBack(
  messages: readonly InboxMessage[],
  delaySeconds: number,
  world: World,
): Promise<void> {
  const [first] = messages;
  if (!first) return;
  await world.heartbeat.withdraw(
    first.queue,
    messages.map(({ id }) => id),
  );
  if (!isFifo(first.queue)) {
    assertSettled(await world.queue.changeVisibility(first.queue, messages, delaySeconds));
    return;
  }
  for (const message of messages)
    assertSettled(await world.queue.changeVisibility(message.queue, [message], delaySeconds));
}
