import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse, parseAllDocuments, stringify } from 'yaml';
import { z } from 'zod';
import type { RestClient } from '../../operator/kube/rest-client.ts';
import type { Transport } from '../../operator/kube/transport.ts';
import type { KubernetesProxy } from '../faults/kubernetes-proxy.ts';
import { SqsProxy } from '../faults/sqs-proxy.ts';
import { integrationCluster } from '../jest/clusters.ts';
import type { EcrServer } from './ecr-server.ts';
import { eventually } from './eventually.ts';
import { apply, kubectl, tryKubectl } from './kubectl.ts';
import { connect, NAMESPACES, SERVICE_ACCOUNTS } from './kubernetes.ts';
import { type ElectionSettings, OperatorProcess } from './operator-process.ts';
import { type SqsEmulator, startSqsEmulator } from './sqs-emulator.ts';

const CRD = fileURLToPath(new URL('../../crds/batchqueues.yaml', import.meta.url));
const MANIFESTS = fileURLToPath(new URL('../../deploy/operator', import.meta.url));
const OPERATOR_NAMESPACE = 'batchqueue-system';
const OPERATOR_SERVICE_ACCOUNT = 'batchqueue-operator';

const kubeconfigSchema = z.looseObject({
  clusters: z.tuple([z.looseObject({ name: z.string() })]),
  users: z.tuple([z.object({ name: z.string(), user: z.looseObject({}) })]),
});

/** How an operator of a stage is started. */
export interface StageOperatorOptions {
  /** Whose namespaces it serves; default: all. */
  readonly cases?: readonly string[];
  /** A proxy in front of the API server, which adds no credentials of its own. */
  readonly through?: KubernetesProxy;
  /** What stands in front of the emulator; default: the stage's own proxy. */
  readonly sqs?: { endpoint(): string };
  /** Default: the TypeScript sources. */
  readonly program?: string;
  /** Instead of the flags that let it read every queue with its own credentials. */
  readonly flags?: readonly string[];
  /** Where it finds ECR. */
  readonly ecr?: EcrServer;
  /** Undefined for an operator that is alone; see `prepareElection`. */
  readonly election?: ElectionSettings;
}

/**
 * Everything that a test of the whole operator needs: the real API server with the shipped CRD and access rules, an SQS
 * emulator behind a proxy, a namespace per case, and the operator as a process under its shipped ServiceAccount.
 */
export class OperatorStage {
  readonly emulator: SqsEmulator;
  readonly sqs: SqsProxy;
  /** The administrator's view of the API. */
  readonly client: RestClient;
  readonly #transport: Transport;
  readonly #directory: string;
  readonly #suffix = randomBytes(3).toString('hex');
  readonly #cases: string[];
  readonly #operators: OperatorProcess[] = [];

  private constructor(parts: {
    emulator: SqsEmulator;
    sqs: SqsProxy;
    directory: string;
    cases: readonly string[];
  }) {
    const { client, transport } = connect(integrationCluster().kubeconfigPath);
    this.client = client;
    this.#transport = transport;
    this.emulator = parts.emulator;
    this.sqs = parts.sqs;
    this.#directory = parts.directory;
    this.#cases = [...parts.cases];
  }

  /** Sets the stage, without an operator. Each case has a namespace of its own. */
  static async set(cases: readonly string[]): Promise<OperatorStage> {
    await install();
    const directory = await mkdtemp(path.join(tmpdir(), 'batchqueue-operator-'));
    const emulator = await startSqsEmulator();
    const sqs = await SqsProxy.start(emulator.endpoint);
    const stage = new OperatorStage({ emulator, sqs, directory, cases });
    await Promise.all(stage.namespaces().map((namespace) => kubectl('create', 'namespace', namespace)));
    await writeFile(stage.operatorKubeconfigPath(), await operatorKubeconfig());
    return stage;
  }

  /** One more case. Resolves when pods can be made in its namespace: not before it has its ServiceAccount. */
  async addCase(name: string): Promise<void> {
    this.#cases.push(name);
    const namespace = this.namespace(name);
    const object = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } };
    await this.client.create(NAMESPACES, undefined, object);
    await eventually(
      () => this.client.get(SERVICE_ACCOUNTS, namespace, 'default'),
      (found) => found !== undefined,
      { what: `the ServiceAccount of ${namespace}` },
    );
  }

  namespaces(): readonly string[] {
    return this.#cases.map((name) => this.namespace(name));
  }

  /** The namespace of a case. */
  namespace(name: string): string {
    if (!this.#cases.includes(name)) throw new Error(`no case is called ${name}`);
    return `${name}-${this.#suffix}`;
  }

  /** `launchOperator`, and waits until it is ready. */
  async startOperator(options: StageOperatorOptions = {}): Promise<OperatorProcess> {
    const operator = await this.launchOperator(options);
    await operator.whenReady();
    return operator;
  }

  /** Starts an operator and does not wait for it. */
  async launchOperator(options: StageOperatorOptions = {}): Promise<OperatorProcess> {
    const { cases = this.#cases, through, sqs = this.sqs, program, flags, election, ecr } = options;
    const operator = OperatorProcess.launch({
      kubeconfigPath: through ? await this.#kubeconfigThrough(through) : this.operatorKubeconfigPath(),
      sqsEndpoint: sqs.endpoint(),
      namespaces: cases.map((name) => this.namespace(name)),
      election,
      ...(ecr && { ecrEndpoint: ecr.endpoint }),
      ...(program !== undefined && { program }),
      ...(flags !== undefined && { flags }),
    });
    this.#operators.push(operator);
    return operator;
  }

  /**
   * What the shipped manifests put into the operator's namespace for the election, in the namespace of a case, so that
   * each case has a Lease of its own. For `startOperator`.
   */
  async prepareElection(caseName: string, flags: readonly string[] = []): Promise<ElectionSettings> {
    const namespace = this.namespace(caseName);
    for (const manifest of await shippedManifests()) {
      if (!['Lease', 'Role', 'RoleBinding'].includes(manifest.kind)) continue;
      await apply({ ...manifest, metadata: { ...manifest.metadata, namespace } });
    }
    return { leaseNamespace: namespace, flags };
  }

  /** What every operator of this stage has written, in one text. */
  output(): string {
    return this.#operators.map((operator) => operator.output()).join('\n');
  }

  /** Ends everything but the namespaces, which go with the cluster. */
  async clear(): Promise<void> {
    await Promise.all(this.#operators.map((operator) => operator.kill()));
    await this.sqs.stop();
    await this.emulator.stop();
    await this.#transport.close();
    await rm(this.#directory, { recursive: true });
  }

  async #kubeconfigThrough(proxy: KubernetesProxy): Promise<string> {
    const own = kubeconfigSchema.parse(parse(await readFile(this.operatorKubeconfigPath(), 'utf8')));
    const led = kubeconfigSchema.parse(JSON.parse(proxy.kubeconfig()));
    const [{ user }] = own.users;
    const users = [{ name: led.users[0].name, user }];
    const file = path.join(this.#directory, `proxied-${randomBytes(3).toString('hex')}.kubeconfig`);
    await writeFile(file, stringify({ ...led, users }));
    return file;
  }

  /** Of the operator's ServiceAccount, with a token. */
  operatorKubeconfigPath(): string {
    return path.join(this.#directory, 'operator.kubeconfig');
  }
}

/** The shipped manifests as objects. */
export async function shippedManifests(): Promise<readonly Manifest[]> {
  const text = await kubectl('kustomize', MANIFESTS);
  return parseAllDocuments(text).map((document) => manifestSchema.parse(document.toJS()));
}

const manifestSchema = z.looseObject({ kind: z.string(), metadata: z.looseObject({ name: z.string() }) });
export type Manifest = z.infer<typeof manifestSchema>;

/** CRD and access rules, as often as one likes. The operator itself runs as a process of the test, not in the cluster. */
async function install(): Promise<void> {
  await kubectl('apply', '--server-side', '--force-conflicts', '-f', CRD);
  // kubectl wait fails at once while a new CRD has no conditions at all.
  await eventually(
    () =>
      tryKubectl(['wait', '--for=condition=Established', '--timeout=1s', 'crd/batchqueues.batchqueue.io']),
    ({ ok }) => ok,
    { what: 'the CRD to be established' },
  );
  const manifests = (await shippedManifests()).filter(({ kind }) => kind !== 'Deployment');
  const text = manifests.map((manifest) => stringify(manifest)).join('---\n');
  const { ok, stderr } = await tryKubectl(['apply', '--server-side', '--force-conflicts', '-f', '-'], text);
  if (!ok) throw new Error(`the manifests were refused: ${stderr}`);
}

/** The operator's own identity, with a token that lives for an hour. */
async function operatorKubeconfig(): Promise<string> {
  const admin: unknown = parse(await readFile(integrationCluster().kubeconfigPath, 'utf8'));
  const [cluster] = kubeconfigSchema.parse(admin).clusters;
  const created = await kubectl(
    'create',
    'token',
    OPERATOR_SERVICE_ACCOUNT,
    '-n',
    OPERATOR_NAMESPACE,
    '--duration=1h',
  );
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [cluster],
    users: [{ name: 'operator', user: { token: created.trim() } }],
    contexts: [{ name: 'operator', context: { cluster: cluster.name, user: 'operator' } }],
    'current-context': 'operator',
  });
}
