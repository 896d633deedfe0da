/** A process that a benchmark starts and asks. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import type { Answer } from './questions.ts';

export interface ChildOptions {
  /** The file that gets both output streams. */
  readonly logPath: string;
  readonly env: NodeJS.ProcessEnv;
  /** Node's own flags. */
  readonly nodeFlags?: readonly string[];
}

interface Asked {
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: Error) => void;
}

export class Child {
  readonly #process: ChildProcess;
  readonly #asked = new Map<number, Asked>();
  readonly #logPath: string;
  #next = 0;

  /** Starts `node FLAGS SCRIPT ARGS`. */
  constructor(script: string, args: readonly string[], { logPath, env, nodeFlags = [] }: ChildOptions) {
    const log = openSync(logPath, 'a');
    this.#logPath = logPath;
    this.#process = spawn(process.execPath, [...nodeFlags, script, ...args], {
      env,
      stdio: ['ignore', log, log, 'ipc'],
    });
    closeSync(log);
    this.#process.on('message', (message) => this.#settle(message));
    this.#process.once('exit', (code, signal) => this.#abandon(code ?? signal));
  }

  /** Rejects when the process ends without an answer. */
  ask(name: string, argument?: unknown): Promise<unknown> {
    this.#next += 1;
    const id = this.#next;
    return new Promise((resolve, reject) => {
      this.#asked.set(id, { resolve, reject });
      this.#process.send({ id, name, argument }, (error) => {
        if (error) reject(error);
      });
    });
  }

  hasEnded(): boolean {
    return this.#process.exitCode !== null || this.#process.signalCode !== null;
  }

  /** Sends the signal and returns when the process is gone. */
  async stop(signal: NodeJS.Signals): Promise<void> {
    if (this.hasEnded()) return;
    const exit = once(this.#process, 'exit');
    this.#process.kill(signal);
    await exit;
  }

  #settle(message: unknown): void {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- only `answerQuestions` is at the other end
    const { id, answer, problem } = message as Answer;
    const asked = this.#asked.get(id);
    this.#asked.delete(id);
    if (problem === undefined) asked?.resolve(answer);
    else asked?.reject(new Error(problem));
  }

  #abandon(ending: number | string | null): void {
    const error = new Error(
      `a process of the benchmark ended (${ending}); its output is in ${this.#logPath}`,
    );
    for (const { reject } of this.#asked.values()) reject(error);
    this.#asked.clear();
  }
}
