import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { markedEnvironment } from '../cluster/processes.ts';
import { clusterDirectory } from '../jest/clusters.ts';
import { eventually } from './eventually.ts';
import { OWN_IDENTITY } from './one-identity.ts';
import { EMULATOR_REGION } from './sqs-emulator.ts';

const MAIN = fileURLToPath(new URL('../../operator/main.ts', import.meta.url));
const startedSchema = z.object({ msg: z.literal('started'), healthPort: z.number() });

/** Many may start at once, on few processors. */
const START_TIMEOUT_MS = 60_000;
const loggedSchema = z.object({ time: z.string() });

const OPERATOR_ACCESS_KEY_ID = 'AKIDOPERATORTEST';
/** A dummy; a test looks for it in logs. */
export const OPERATOR_SECRET_ACCESS_KEY = 'canary-secret-access-key';

export interface OperatorOptions {
  readonly kubeconfigPath: string;
  readonly sqsEndpoint: string;
  /** Default: none, which no test may need: it would ask AWS. */
  readonly ecrEndpoint?: string;
  readonly namespaces: readonly string[];
  /** Undefined: it acts without being elected. */
  readonly election?: ElectionSettings | undefined;
  /** Further flags; default: every queue is read with the operator's own credentials. */
  readonly flags?: readonly string[];
  /** File of the program; default: its TypeScript sources. */
  readonly program?: string;
}

export interface ElectionSettings {
  readonly leaseNamespace: string;
  /** Further flags, e.g. timings. */
  readonly flags?: readonly string[];
}

/** The operator as a process of its own, as it runs in production. Ends with the cluster at the latest. */
export class OperatorProcess {
  readonly #child: ChildProcess;
  readonly #exit: Promise<number | null>;
  #output = '';

  /** Starts it and returns at once. */
  constructor(args: readonly string[], program = MAIN) {
    this.#child = spawn(process.execPath, [program, ...args], {
      env: {
        ...markedEnvironment(clusterDirectory()),
        AWS_ACCESS_KEY_ID: OPERATOR_ACCESS_KEY_ID,
        AWS_SECRET_ACCESS_KEY: OPERATOR_SECRET_ACCESS_KEY,
        AWS_REGION: EMULATOR_REGION,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const collect = (chunk: Buffer) => {
      this.#output += chunk.toString();
    };
    this.#child.stdout?.on('data', collect);
    this.#child.stderr?.on('data', collect);
    // 'close' comes after the last output, 'exit' may not.
    this.#exit = once(this.#child, 'close').then(() => this.#child.exitCode);
  }

  /** `launch`, and waits until it is ready. Throws, with its output, when it ends instead. */
  static async start(options: OperatorOptions): Promise<OperatorProcess> {
    const operator = OperatorProcess.launch(options);
    await operator.whenReady();
    return operator;
  }

  /** Starts it for these namespaces and returns at once. */
  static launch(options: OperatorOptions): OperatorProcess {
    const flags = {
      kubeconfig: options.kubeconfigPath,
      'sqs-endpoint': options.sqsEndpoint,
      ...(options.ecrEndpoint !== undefined && { 'ecr-endpoint': options.ecrEndpoint }),
      namespaces: options.namespaces.join(','),
      'health-address': '127.0.0.1',
      'health-port': '0',
    };
    const args = Object.entries(flags).map(([flag, value]) => `--${flag}=${value}`);
    const { election, flags: others = OWN_IDENTITY } = options;
    return new OperatorProcess([...args, ...others, ...electionFlags(election)], options.program);
  }

  /** Everything it has written so far. */
  output(): string {
    return this.#output;
  }

  /** When it wrote its first log line with this text, epoch ms; undefined while it has not. */
  saidAt(text: string): number | undefined {
    for (const line of this.#output.split('\n')) {
      if (!line.includes(`"msg":${JSON.stringify(text)}`)) continue;
      const { time } = loggedSchema.parse(JSON.parse(line));
      return Date.parse(time);
    }
    return undefined;
  }

  /** True while it says so itself. */
  async isLeading(): Promise<boolean> {
    const page = await this.metrics();
    return /^leader_election_master_status\{.*\} 1$/m.test(page);
  }

  /** What `/metrics` says. */
  async metrics(): Promise<string> {
    const { text } = await this.#fetch('/metrics');
    return text;
  }

  /** Resolves when `/readyz` says ok. Throws, with its output, when it ends instead. */
  async whenReady(): Promise<void> {
    await eventually(
      () => this.#ask('/readyz'),
      (status) => status === 200 || this.#hasEnded(),
      { what: 'the operator to be ready', timeoutMs: START_TIMEOUT_MS },
    );
    if (this.#hasEnded()) throw new Error(`the operator ended: ${this.#output}`);
  }

  /** HTTP status of a health path. */
  async health(healthPath: '/healthz' | '/readyz'): Promise<number> {
    return await this.#ask(healthPath);
  }

  /** Stops it in its tracks until `resume`; as a node does that is out of memory, or a machine that is moved. */
  suspend(): void {
    this.#child.kill('SIGSTOP');
  }

  resume(): void {
    this.#child.kill('SIGCONT');
  }

  /** Puts its clock forward by 31 minutes; only `hasty-operator.ts` can. */
  putForward(): void {
    this.#child.kill('SIGUSR2');
  }

  /** Asks it to stop, as Kubernetes does. */
  terminate(): void {
    this.#child.kill('SIGTERM');
  }

  /** Its exit code once it has ended; null when a signal killed it. */
  exitCode(): Promise<number | null> {
    return this.#exit;
  }

  /** `kill -9`; resolves when it is gone. */
  async kill(): Promise<void> {
    if (!this.#hasEnded()) this.#child.kill('SIGKILL');
    await this.#exit;
  }

  #hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  async #ask(healthPath: string): Promise<number> {
    return (await this.#fetch(healthPath)).status;
  }

  async #fetch(healthPath: string): Promise<{ status: number; text: string }> {
    const port = this.#healthPort();
    if (port === undefined) return { status: 0, text: '' };
    const response = await fetch(`http://127.0.0.1:${port}${healthPath}`, {
      headers: { connection: 'close' },
    });
    return { status: response.status, text: await response.text() };
  }

  #healthPort(): number | undefined {
    for (const line of this.#output.split('\n')) {
      if (!line.includes('"started"')) continue;
      const started = startedSchema.safeParse(JSON.parse(line));
      if (started.success) return started.data.healthPort;
    }
    return undefined;
  }
}

function electionFlags(election: ElectionSettings | undefined): readonly string[] {
  if (election === undefined) return ['--leader-elect', 'false'];
  return ['--lease-namespace', election.leaseNamespace, ...(election.flags ?? [])];
}
