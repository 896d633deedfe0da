import type { RestClient } from '../../operator/kube/rest-client.ts';
import type { KubeObject } from '../../operator/ports.ts';
import { endThisPod } from '../support/worker-pods.ts';
import type { JobRecord, NamespaceHistory } from './namespace-history.ts';
import type { Script, ScriptedMessage } from './script.ts';

/**
 * Plays the workers of a script: every pod that comes up ends as the script has it, whoever made it and whatever runs
 * of the operator there were before. Knows when each message has succeeded, so that a delete before can be told.
 */
export class ScriptPlayer {
  readonly #client: RestClient;
  readonly #history: NamespaceHistory;
  readonly #script: Script;
  /** Of the messages that were sent, by id. */
  readonly #messages: ReadonlyMap<string, ScriptedMessage>;
  readonly #ended = new Set<string>();
  readonly #succeededAtMs = new Map<string, number>();
  readonly #failures: unknown[] = [];
  readonly #stop: () => void;

  constructor(parts: {
    client: RestClient;
    history: NamespaceHistory;
    script: Script;
    messages: ReadonlyMap<string, ScriptedMessage>;
  }) {
    this.#client = parts.client;
    this.#history = parts.history;
    this.#script = parts.script;
    this.#messages = parts.messages;
    this.#stop = this.#history.onChange(() => this.#look());
    this.#look();
  }

  /** When a run of this message ended well, on this process's monotonic clock; undefined: none has. */
  succeededAtMs(messageId: string): number | undefined {
    return this.#succeededAtMs.get(messageId);
  }

  /** What kept it from playing. */
  failures(): readonly unknown[] {
    return this.#failures;
  }

  stop(): void {
    this.#stop();
  }

  #look(): void {
    for (const pod of this.#history.pods()) {
      const uid = pod.metadata.uid ?? '';
      const owner = pod.metadata.ownerReferences?.[0]?.uid;
      const job = this.#history.jobs().find((known) => known.uid === owner);
      // Pods and Jobs are watched apart: a pod may be seen before its Job.
      if (!job || this.#ended.has(uid)) continue;
      this.#ended.add(uid);
      setTimeout(() => void this.#end(pod, job), this.#script.runsForMs ?? 0);
    }
  }

  async #end(pod: KubeObject, job: JobRecord): Promise<void> {
    const failing = job.messages.filter((id) => this.#failsIn(id, job));
    const now = performance.now();
    for (const id of job.messages)
      if (!failing.includes(id)) this.#succeededAtMs.set(id, this.#succeededAtMs.get(id) ?? now);
    try {
      await endThisPod(this.#client, pod, { exitCode: failing.length === 0 ? 0 : 1 });
    } catch (error) {
      this.#failures.push(error);
    }
  }

  /** The nth run of a message fails for as long as its script says so. */
  #failsIn(id: string, job: JobRecord): boolean {
    const failures = this.#messages.get(id)?.failures ?? 0;
    return this.#history.jobsOf(id).indexOf(job) < failures;
  }
}
