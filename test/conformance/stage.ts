import { OperatorError } from '../../operator/errors.ts';
import type { Message, QueueRef } from '../../operator/plan/message.ts';
import type { EntryResult, MessageQueue, ReceiptEntry, ReceiveOptions } from '../../operator/world.ts';
import type { OutgoingMessage, QueueSpec, Subject } from './subject.ts';

const PERIOD_MS = 200;

/** What a case says and does; waits by the subject's clock. */
export class Stage {
  readonly subject: Subject;
  readonly port: MessageQueue;

  constructor(subject: Subject) {
    this.subject = subject;
    this.port = subject.port;
  }

  queue(spec: QueueSpec = {}): Promise<QueueRef> {
    return this.subject.createQueue(spec);
  }

  fifo(spec: QueueSpec = {}): Promise<QueueRef> {
    return this.queue({ ...spec, fifo: true });
  }

  /** A queue with a dead-letter queue of the same type. */
  async withDeadLetters(maxReceiveCount: number, spec: QueueSpec = {}): Promise<Redriven> {
    const dead = await this.queue(spec);
    const redrive = { deadLetterArn: dead.arn, maxReceiveCount };
    return { queue: await this.queue({ ...spec, redrive }), dead };
  }

  send(queue: QueueRef, message: OutgoingMessage | string): Promise<string> {
    return this.subject.send(queue, typeof message === 'string' ? { body: message } : message);
  }

  /** Sends these bodies to one message group, in order. */
  async sendGroup(queue: QueueRef, groupId: string, bodies: readonly string[]): Promise<void> {
    for (const body of bodies)
      await this.send(queue, { body, groupId, deduplicationId: `${groupId}-${body}` });
  }

  receive(queue: QueueRef, options: Partial<ReceiveOptions> = {}): Promise<readonly Message[]> {
    return this.port.receive(queue, { max: 10, visibilityTimeoutSeconds: 30, waitSeconds: 1, ...options });
  }

  /** The one message that is there. */
  async take(queue: QueueRef, visibilityTimeoutSeconds = 30): Promise<Message> {
    const [message] = await this.receive(queue, { max: 1, visibilityTimeoutSeconds, waitSeconds: 5 });
    if (message === undefined) throw new Error('the message that was sent did not come');
    return message;
  }

  /** Receives until `count` messages are there (a receive may bring fewer than there are) or nothing comes any more. */
  async gather(queue: QueueRef, count: number, visibilityTimeoutSeconds = 30): Promise<readonly Message[]> {
    const messages: Message[] = [];
    while (messages.length < count) {
      const max = Math.min(10, count - messages.length);
      const more = await this.receive(queue, { max, visibilityTimeoutSeconds });
      if (more.length === 0) break;
      messages.push(...more);
    }
    return messages;
  }

  /** Until the polls of this queue that have been started have surely arrived, also where everything is slow. */
  async untilPolling(queue: QueueRef): Promise<void> {
    await this.sleep(500);
    await this.port.describe(queue);
    await this.sleep(1_000);
    await this.port.describe(queue);
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.subject.clock.after(ms, resolve));
  }

  /** How long it takes, in milliseconds. */
  async timed<T>(work: Promise<T>): Promise<{ value: T; ms: number }> {
    const startedAtMs = this.subject.clock.now();
    const value = await work;
    return { value, ms: this.subject.clock.now() - startedAtMs };
  }

  /** Reads until it is as wanted or patience has run out, and returns what was read last. */
  async eventually<T>(read: () => Promise<T>, accept: (value: T) => boolean): Promise<T> {
    const endMs = this.subject.clock.now() + this.subject.patienceMs;
    for (;;) {
      const value = await read();
      if (accept(value) || this.subject.clock.now() >= endMs) return value;
      await this.sleep(PERIOD_MS);
    }
  }
}

export interface Redriven {
  readonly queue: QueueRef;
  readonly dead: QueueRef;
}

/** `done`, or code and verdict of the error. */
export async function fate(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return 'done';
  } catch (error) {
    return told(error);
  }
}

/** `refused` or `accepted`: for what only tests ask for, whose errors nobody sorts. */
export async function accepted(work: Promise<unknown>): Promise<'accepted' | 'refused'> {
  return (await fate(work)) === 'done' ? 'accepted' : 'refused';
}

/** The same for every entry of a batch. */
export async function fates(work: Promise<readonly EntryResult[]>): Promise<readonly string[]> {
  return (await work).map(({ error }) => (error ? told(error) : 'done'));
}

export function entryOf({ id, receiptHandle }: Message): ReceiptEntry {
  return { id, receiptHandle };
}

export function bodiesOf(messages: readonly Message[]): readonly string[] {
  return messages.map(({ body }) => body);
}

function told(error: unknown): string {
  return error instanceof OperatorError ? `${error.code} (${error.verdict})` : String(error);
}
