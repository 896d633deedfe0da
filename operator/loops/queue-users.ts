import { firstUser, type QueueUser } from '../plan/queue-users.ts';

/**
 * Which BatchQueues of this process read which SQS queue, by the ARN that the queue itself tells: URLs of one queue may
 * differ. Costs a turn the same however many BatchQueues there are.
 */
export class QueueUsers {
  readonly #byArn = new Map<string, Map<string, QueueUser>>();
  readonly #arnOf = new Map<string, string>();
  readonly #onChange: (key: string) => void;

  /** `onChange`: another BatchQueue is the first one of its queue now, or no longer. */
  constructor(onChange: (key: string) => void) {
    this.#onChange = onChange;
  }

  /** Notes who reads this queue from now on, and returns the one that may poll it. */
  note(user: QueueUser, arn: string): QueueUser {
    if (this.#arnOf.get(user.key) !== arn) this.forget(user.key);
    const users = this.#byArn.get(arn) ?? new Map<string, QueueUser>();
    const before = firstUser(users.values());
    this.#byArn.set(arn, users.set(user.key, user));
    this.#arnOf.set(user.key, arn);
    const first = firstUser(users.values()) ?? user;
    if (before && before.key !== first.key) this.#tell(users, user.key);
    return first;
  }

  /** This BatchQueue reads no queue any more: the next one of its queue may. */
  forget(key: string): void {
    const arn = this.#arnOf.get(key);
    const users = arn === undefined ? undefined : this.#byArn.get(arn);
    if (arn === undefined || !users) return;
    this.#arnOf.delete(key);
    users.delete(key);
    if (users.size === 0) this.#byArn.delete(arn);
    this.#tell(users, key);
  }

  #tell(users: ReadonlyMap<string, QueueUser>, except: string): void {
    for (const key of users.keys()) if (key !== except) this.#onChange(key);
  }
}
