import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { z } from 'zod';
import { markedEnvironment } from '../../test/cluster/processes.ts';
import { OWN_IDENTITY } from '../../test/support/one-identity.ts';
import { EMULATOR_CREDENTIALS, EMULATOR_REGION } from '../../test/support/sqs-emulator.ts';
import { Child } from './child.ts';
import type { Stage } from './stage.ts';
import { until } from './wait.ts';

const PROBE = new URL('probe.ts', import.meta.url).href;
const DEPLOYMENT = new URL('../../deploy/operator/deployment.yaml', import.meta.url);
const SOURCES = fileURLToPath(new URL('../../operator/main.ts', import.meta.url));

/** The environment that the shipped Deployment gives the operator. */
const deploymentSchema = z.object({
  spec: z.object({
    template: z.object({
      spec: z.object({
        containers: z.tuple([
          z.object({ env: z.array(z.object({ name: z.string(), value: z.string().optional() })) }),
        ]),
      }),
    }),
  }),
});

const requestsSchema = z.record(z.string(), z.number());
const jobsSchema = z.array(
  z.object({ path: z.string(), body: z.string(), createdAtMs: z.number().optional() }),
);
const costSchema = z.object({ cpuSeconds: z.number(), rssMiB: z.number() });

/** A Job as it was sent, and when the API server's answer came, epoch ms: undefined when it was lost, or a refusal. */
export type SentJob = z.output<typeof jobsSchema>[number];

let started = 0;

/** The operator as a process of its own, as in its image, with a probe in it. */
export class Operator {
  readonly #child: Child;

  private constructor(child: Child) {
    this.#child = child;
  }

  /**
   * Starts it and returns when its caches have synced. `bundled` false: from its sources, where functions have their
   * names in profiles.
   */
  static async start(stage: Stage, bundled = true): Promise<Operator> {
    started += 1;
    const logPath = path.join(stage.directory, `operator-${started}.log`);
    const { accessKeyId, secretAccessKey } = EMULATOR_CREDENTIALS;
    const args = [
      '--kubeconfig',
      stage.cluster.kubeconfigPath,
      '--sqs-endpoint',
      stage.endpoint(),
      ...OWN_IDENTITY,
    ];
    const health = ['--health-address', '127.0.0.1', '--health-port', '0', '--leader-elect', 'false'];
    const script = bundled ? stage.operatorPath() : SOURCES;
    const child = new Child(script, [...args, ...health], {
      logPath,
      nodeFlags: ['--disable-proto=delete', `--import=${PROBE}`],
      env: {
        ...markedEnvironment(stage.cluster.directory),
        NODE_ENV: 'production',
        NODE_OPTIONS: await shippedNodeOptions(),
        AWS_ACCESS_KEY_ID: accessKeyId,
        AWS_SECRET_ACCESS_KEY: secretAccessKey,
        AWS_REGION: EMULATOR_REGION,
      },
    });
    await until('the operator', 60_000, async () => {
      if (child.hasEnded()) throw new Error(`the operator ended:\n${await readFile(logPath, 'utf8')}`);
      return (await readFile(logPath, 'utf8')).includes('caches synced');
    });
    return new Operator(child);
  }

  /** Its requests to the API server so far, by method and resource (`POST jobs`). */
  async requests(): Promise<Readonly<Record<string, number>>> {
    return requestsSchema.parse(await this.#child.ask('requests'));
  }

  /** The Jobs it has sent since this was last asked; one that was sent again comes once. */
  async takeJobs(): Promise<readonly SentJob[]> {
    const jobs = jobsSchema.parse(await this.#child.ask('jobs'));
    return [...new Map(jobs.map((job) => [job.body, job])).values()];
  }

  /** CPU time since its start, and resident memory now. */
  async cost(): Promise<{ cpuSeconds: number; rssMiB: number }> {
    return costSchema.parse(await this.#child.ask('cost'));
  }

  /** Writes a CPU profile of what it does while `work` takes. */
  async profile<T>(file: string, work: () => Promise<T>): Promise<T> {
    await this.#child.ask('startProfile');
    const result = await work();
    await writeFile(file, JSON.stringify(await this.#child.ask('stopProfile')));
    return result;
  }

  /** As a crash would, for when nothing is left to do. */
  async kill(): Promise<void> {
    await this.#child.stop('SIGKILL');
  }
}

/** Memory settings that go with the Deployment's limit, which a process on this machine does not have. */
async function shippedNodeOptions(): Promise<string> {
  const [container] = deploymentSchema.parse(parse(await readFile(DEPLOYMENT, 'utf8'))).spec.template.spec
    .containers;
  const found = container.env.find(({ name }) => name === 'NODE_OPTIONS');
  return found?.value ?? '';
}
