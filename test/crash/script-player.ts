import type { RestClient } from '../../operator/kube/rest-client.ts';
import type { KubeObject } from '../../operator/ports.ts';
import { type Ending, endThisPod } from '../support/worker-pods.ts';
import type { JobRecord, NamespaceHistory } from './namespace-history.ts';
import type { Script, ScriptedMessage } from './script.ts';

/** One run of one message, as its worker ended it. */
export interface Run {
  readonly hasSucceeded: boolean;
  /** On this process's monotonic clock, before anybody could know. */
  readonly atMs: number;
}

/**
 * Plays the workers of a script: every pod that comes up ends as the script has it, whoever made it and whatever runs
 * of the operator there were before. Remembers how each message ended and when, so that a delete before that can be told.
 */
export class ScriptPlayer {
  readonly #client: RestClient;
  readonly #history: NamespaceHistory;
  readonly #script: Script;
  /** Of the messages that were sent, by id. */
  readonly #messages: ReadonlyMap<string, ScriptedMessage>;
  readonly #ended = new Set<string>();
  readonly #runs = new Map<string, Run[]>();
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

  /** The runs of a message, in order. */
  runsOf(messageId: string): readonly Run[] {
    return this.#runs.get(messageId) ?? [];
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
    const ids = job.messages.slice(...sliceOf(pod));
    const ends = ids.map((id) => this.#run(id));
    try {
      await endThisPod(this.#client, pod, endingOf(ends));
    } catch (error) {
      this.#failures.push(error);
    }
  }

  /** The nth run of a message fails for as long as its script says so. True when this one succeeds. */
  #run(id: string): boolean {
    const runs = this.runsOf(id);
    const hasSucceeded = runs.length >= (this.#messages.get(id)?.failures ?? 0);
    this.#runs.set(id, [...runs, { hasSucceeded, atMs: performance.now() }]);
    return hasSucceeded;
  }
}

/** Which messages of its Job a pod runs: of an Indexed Job one, otherwise all. */
function sliceOf({ metadata }: KubeObject): [number?, number?] {
  const text = metadata.annotations?.['batch.kubernetes.io/job-completion-index'];
  return text === undefined ? [] : [Number(text), Number(text) + 1];
}

/** As a worker tells it: partial success is a failing exit code and a list. */
function endingOf(ends: readonly boolean[]): Ending {
  if (ends.every((hasSucceeded) => hasSucceeded)) return { exitCode: 0 };
  const succeededIndexes = ends.flatMap((hasSucceeded, index) => (hasSucceeded ? [index] : [])).join();
  return { exitCode: 1, message: JSON.stringify({ succeededIndexes, reason: 'scripted' }) };
}
