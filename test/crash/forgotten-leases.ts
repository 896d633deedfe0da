import { ChangeMessageVisibilityCommand } from '@aws-sdk/client-sqs';
import type { SqsProxy } from '../faults/sqs-proxy.ts';
import type { QueueCase } from '../support/queue-case.ts';
import type { NamespaceHistory } from './namespace-history.ts';

/**
 * The leases that a process held when it ended. Those of messages that no Job holds are kept by nobody, and SQS ends them
 * after at least forty seconds; here time passes faster for them, by one request. Those on Jobs are left alone: the
 * next process renews them.
 */
export class ForgottenLeases {
  readonly #queue: QueueCase;
  readonly #past: NamespaceHistory;
  readonly #through: SqsProxy;
  readonly #ended = new Set<string>();

  /** `through`: the proxy that the process received its messages through. */
  constructor(queue: QueueCase, past: NamespaceHistory, through: SqsProxy) {
    this.#queue = queue;
    this.#past = past;
    this.#through = through;
  }

  /** Ends every lease that has not been ended yet and that no Job keeps. Never rejects. */
  async lapse(): Promise<void> {
    const kept = new Set(
      this.#past.jobs().flatMap(({ isGone, isOwing, held }) => (isGone || !isOwing ? [] : held)),
    );
    const forgotten = [...this.#through.receiptHandles()].filter(
      ([handle, id]) => !this.#ended.has(handle) && !kept.has(id),
    );
    await Promise.all(forgotten.map(([handle]) => this.#end(handle)));
  }

  async #end(ReceiptHandle: string): Promise<void> {
    this.#ended.add(ReceiptHandle);
    const command = new ChangeMessageVisibilityCommand({
      QueueUrl: this.#queue.url(),
      ReceiptHandle,
      VisibilityTimeout: 0,
    });
    // Refused for a message that was deleted, given back or received again: there is nothing to end then.
    await this.#queue.stage.emulator.client.send(command).catch(() => undefined);
  }
}
