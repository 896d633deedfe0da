/** The long-running processes of a cluster. */
import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { CLUSTER_MARK } from './process-table.ts';

/** A program of the cluster and how to call it. */
export interface Program {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
}

/** How much of a dead process's log its error quotes, in lines. */
const QUOTED_LINES = 15;

/**
 * How much a Go heap may grow before it is collected, in percent of what lives in it. So little lives in a cluster of
 * tests that with Go's default of 100 the API server takes half as much CPU again in a burst of Jobs.
 */
const GOGC = '400';

/** Starts the processes of one cluster and notices when one of them dies. */
export class Processes {
  readonly #directory: string;
  readonly #prefix: readonly string[];
  #failure: Promise<never>;
  #fail: (error: Error) => void = () => undefined;
  #stopping = false;

  /** `prefix` is put before every command: how to enter the cluster's namespaces, or nothing. */
  constructor(directory: string, prefix: readonly string[] = []) {
    this.#directory = directory;
    this.#prefix = prefix;
    this.#failure = new Promise((_, reject) => {
      this.#fail = reject;
    });
    // Nobody may be waiting when a process dies; whoever waits next still gets the rejection.
    this.#failure.catch(() => undefined);
  }

  /** Starts a program with its output in `log/<name>.log`; it carries the cluster's mark. */
  start(program: Program): void {
    const [command = '', ...args] = [...this.#prefix, program.command, ...program.args];
    const log = openSync(this.#logPath(program.name), 'a');
    const child = spawn(command, args, {
      cwd: this.#directory,
      detached: true,
      env: { GOGC, ...markedEnvironment(this.#directory) },
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    child.once('error', (error) => this.#fail(new Error(`cannot start ${program.name}`, { cause: error })));
    child.once('exit', (code, signal) => void this.#report(program.name, code ?? signal));
    child.unref();
  }

  /** The deaths that follow are intended. */
  expectEnd(): void {
    this.#stopping = true;
  }

  /** The result of `work`, or, if a process of the cluster dies first, an error with the end of its log. */
  whileAlive<T>(work: Promise<T>): Promise<T> {
    return Promise.race([work, this.#failure]);
  }

  async #report(name: string, ending: number | string | null): Promise<void> {
    if (this.#stopping) return;
    const log = await readFile(this.#logPath(name), 'utf8').catch(() => '');
    const tail = log.trimEnd().split('\n').slice(-QUOTED_LINES).join('\n');
    this.#fail(new Error(`${name} ended (${ending}); its last lines:\n${tail}`));
  }

  #logPath(name: string): string {
    return path.join(this.#directory, 'log', `${name}.log`);
  }
}

/** This process's environment plus the mark of the cluster, for everything that must end with it. */
export function markedEnvironment(directory: string): NodeJS.ProcessEnv {
  return { ...process.env, [CLUSTER_MARK]: directory };
}
