import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  CreateQueueCommand,
  SendMessageBatchCommand,
  SendMessageCommand,
  SQSClient,
} from '@aws-sdk/client-sqs';
import { parse } from 'yaml';
import { z } from 'zod';
import { RestClient } from '../../operator/kube/rest-client.ts';
import { createTransport, loadKubeConfig, type Transport } from '../../operator/kube/transport.ts';
import type { KubeObject, Resource } from '../../operator/ports.ts';
import { BATCH_QUEUES } from '../../operator/world.ts';
import { bundle } from '../../scripts/bundle.ts';
import { type Cluster, startCluster } from '../../test/cluster/cluster.ts';
import { markedEnvironment } from '../../test/cluster/processes.ts';
import { EMULATOR_CREDENTIALS, EMULATOR_REGION } from '../../test/support/sqs-emulator.ts';
import { Child } from './child.ts';
import { inParallel, until } from './wait.ts';

const CRD = fileURLToPath(new URL('../../crds/batchqueues.yaml', import.meta.url));
const CRDS: Resource = { group: 'apiextensions.k8s.io', version: 'v1', plural: 'customresourcedefinitions' };
const ACCOUNT = '000000000000';
const MAX_BATCH = 10;

const statusSchema = z.looseObject({
  conditions: z.array(z.looseObject({ type: z.string(), status: z.string() })).default([]),
});
const requestsSchema = z.record(z.string(), z.record(z.string(), z.number()));

/** What a benchmark of the engine runs in: a control plane, the emulator, and the operator, each in processes of its own. */
export class Stage {
  readonly cluster: Cluster;
  /** A scratch directory, with the logs of all processes. */
  readonly directory: string;
  readonly client: RestClient;
  readonly transport: Transport;
  /** The namespace of everything. */
  readonly namespace = 'default';
  readonly #emulator: Child;
  readonly #endpoint: string;
  readonly #sqs: SQSClient;

  private constructor(parts: { cluster: Cluster; directory: string; emulator: Child; endpoint: string }) {
    this.cluster = parts.cluster;
    this.directory = parts.directory;
    this.#emulator = parts.emulator;
    this.#endpoint = parts.endpoint;
    this.transport = createTransport(loadKubeConfig({ kubeconfigPath: parts.cluster.kubeconfigPath }));
    this.client = new RestClient(this.transport);
    this.#sqs = new SQSClient({
      endpoint: parts.endpoint,
      region: EMULATOR_REGION,
      credentials: EMULATOR_CREDENTIALS,
      useQueueUrlAsEndpoint: false,
    });
  }

  /**
   * Starts everything but the operator for as long as `work` takes; all of it ends with this process at the latest. When
   * it rejects the logs stay, and the error says where.
   */
  static async use(work: (stage: Stage) => Promise<void>): Promise<void> {
    const stage = await Stage.#start();
    try {
      await work(stage);
    } catch (cause) {
      await stage.#stop();
      throw new Error(`failed; logs are in ${stage.directory}`, { cause });
    }
    await stage.#stop();
    await rm(stage.directory, { recursive: true });
  }

  static async #start(): Promise<Stage> {
    const directory = await mkdtemp(path.join(tmpdir(), 'batchqueue-bench-'));
    const cluster = await startCluster({ size: 'control-plane' });
    const emulator = startChild('emulator-process.ts', [], { cluster, directory });
    const endpoint = z.string().parse(await emulator.ask('endpoint'));
    const stage = new Stage({ cluster, directory, emulator, endpoint });
    await writeFile(stage.operatorPath(), await bundle('operator/main.ts'));
    await stage.#installCrd();
    return stage;
  }

  /** The operator as in its image, one file. */
  operatorPath(): string {
    return path.join(this.directory, 'operator.mjs');
  }

  /** Starts another process of the benchmark. */
  startChild(script: string, args: readonly string[]): Child {
    return startChild(script, args, this);
  }

  /** The emulator's address. */
  endpoint(): string {
    return this.#endpoint;
  }

  /** Of a queue, as on AWS. */
  urlOf(queue: string): string {
    return `https://sqs.${EMULATOR_REGION}.amazonaws.com/${ACCOUNT}/${queue}`;
  }

  async createQueues(names: readonly string[]): Promise<void> {
    await inParallel(names, async (name) => {
      await this.#sqs.send(new CreateQueueCommand({ QueueName: name }));
    });
  }

  /** The id of the message. */
  async send(queue: string, body: string): Promise<string> {
    const command = new SendMessageCommand({ QueueUrl: this.urlOf(queue), MessageBody: body });
    return (await this.#sqs.send(command)).MessageId ?? '';
  }

  /** Sends that many messages, as fast as one sender can. */
  async sendMany(queue: string, count: number): Promise<void> {
    const starts = Array.from({ length: Math.ceil(count / MAX_BATCH) }, (_, batch) => batch * MAX_BATCH);
    await inParallel(starts, async (start) => {
      const size = Math.min(MAX_BATCH, count - start);
      const entries = Array.from({ length: size }, (_, index) => ({
        Id: String(index),
        MessageBody: bodyOf(start + index),
      }));
      await this.#sqs.send(new SendMessageBatchCommand({ QueueUrl: this.urlOf(queue), Entries: entries }));
    });
  }

  /** What the emulator has been asked about this queue so far, by operation; `deleted` are single messages. */
  async sqsRequests(queue: string): Promise<Readonly<Record<string, number>>> {
    return (await this.allSqsRequests())[queue] ?? {};
  }

  /** The same for every queue. */
  async allSqsRequests(): Promise<Readonly<Record<string, Readonly<Record<string, number>>>>> {
    return requestsSchema.parse(await this.#emulator.ask('requests'));
  }

  /** From now on the emulator's counts are those of this many milliseconds ago. */
  async makeCountsLate(ms: number): Promise<void> {
    await this.#emulator.ask('late', ms);
  }

  /** Makes BatchQueues named like their queues. */
  async createBatchQueues(names: readonly string[], spec: object): Promise<void> {
    await inParallel(names, async (name) => {
      const { queue = {}, ...rest }: { queue?: object } = spec;
      const template = { spec: { containers: [{ name: 'worker', image: 'worker:1' }] } };
      await this.client.create(BATCH_QUEUES, this.namespace, {
        apiVersion: 'batchqueue.io/v1alpha1',
        kind: 'BatchQueue',
        metadata: { name },
        spec: { queue: { url: this.urlOf(name), ...queue }, jobTemplate: { spec: { template } }, ...rest },
      });
    });
  }

  /** Returns when every BatchQueue is ready. */
  async whenReady(timeoutMs = 60_000): Promise<void> {
    const isReady = ({ status }: KubeObject) =>
      statusSchema
        .parse(status ?? {})
        .conditions.some((condition) => condition.type === 'Ready' && condition.status === 'True');
    await until('every BatchQueue to be ready', timeoutMs, async () => {
      const { items } = await this.client.list(BATCH_QUEUES, { namespace: this.namespace });
      return items.every((item) => isReady(item));
    });
  }

  /** Ends the suspension of a BatchQueue. */
  async letGo(name: string): Promise<void> {
    await this.client.patch(
      BATCH_QUEUES,
      this.namespace,
      name,
      { spec: { suspend: false } },
      { type: 'merge' },
    );
  }

  async deleteBatchQueues(): Promise<void> {
    const { items } = await this.client.list(BATCH_QUEUES, { namespace: this.namespace });
    await inParallel(items, async ({ metadata }) => {
      await this.client.delete(BATCH_QUEUES, this.namespace, metadata.name);
    });
  }

  async #stop(): Promise<void> {
    this.#sqs.destroy();
    await this.#emulator.stop('SIGKILL');
    await this.transport.close();
    await this.cluster.stop();
  }

  async #installCrd(): Promise<void> {
    const crd: KubeObject = parse(await readFile(CRD, 'utf8'));
    await this.client.create(CRDS, undefined, crd);
    await until('the BatchQueue API', 30_000, async () => {
      return await this.client.list(BATCH_QUEUES, {}).then(
        () => true,
        () => false,
      );
    });
  }
}

interface Place {
  readonly cluster: Cluster;
  readonly directory: string;
}

function startChild(script: string, args: readonly string[], { cluster, directory }: Place): Child {
  const { accessKeyId, secretAccessKey } = EMULATOR_CREDENTIALS;
  return new Child(fileURLToPath(new URL(script, import.meta.url)), args, {
    logPath: path.join(directory, `${script}.log`),
    env: {
      ...markedEnvironment(cluster.directory),
      AWS_ACCESS_KEY_ID: accessKeyId,
      AWS_SECRET_ACCESS_KEY: secretAccessKey,
    },
  });
}

/** About as long as the body of a real task. */
function bodyOf(number: number): string {
  return JSON.stringify({ input: `in/${number}.csv`, output: `out/${number}.csv` });
}
