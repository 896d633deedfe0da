import type { KubeObject, Log } from '../../operator/ports.ts';
import { BATCH_QUEUES, JOBS, PODS, REVISIONS, type UserEvent } from '../../operator/world.ts';
import { SeededRandom } from '../support/seeded-random.ts';
import { VirtualClock } from '../support/virtual-clock.ts';
import { ApiServer } from './kubernetes/api-server.ts';
import { Garbage } from './kubernetes/garbage.ts';
import { indexOf, JobController, jobOf } from './kubernetes/job-controller.ts';
import { type Course, Kubelet, type StartProblem } from './kubernetes/kubelet.ts';
import { Operator } from './operator/operator.ts';
import { fairWeather, type Weather } from './operator/weather.ts';
import { ModelQueue } from './sqs/model-queue.ts';
import { traceLog } from './trace.ts';
import { Book } from './truth/book.ts';
import { contentsOf } from './truth/job-contents.ts';
import type { Tenant } from './truth/tenant.ts';
import type { Invariant, SentRequest, Violation, Witness, WorldView } from './truth/view.ts';
import { type Deed, deedOf, type Fate } from './worker/fate.ts';
import { type Manner, outcomeOf } from './worker/report.ts';

const ACCOUNT = '123456789012';
const REGION = 'us-east-1';

export interface WorldOptions {
  readonly seed: number;
  readonly invariants: readonly Invariant[];
  /** Told of everything that happens, for people. */
  readonly trace?: ((line: string) => void) | undefined;
}

export interface TenantOptions {
  /** Of the BatchQueue; its SQS queue has the same name, with `.fifo` behind it when it is one. */
  readonly name: string;
  readonly namespace?: string;
  readonly fifo?: boolean;
  /** Undefined: no redrive policy. */
  readonly maxReceiveCount?: number | undefined;
  readonly countsLagMs?: number;
  readonly manner?: Manner;
  readonly workMs?: readonly [min: number, max: number];
}

/**
 * A world with SQS queues, an API server with its controllers and kubelets, and any number of operators in it: the real
 * `Controller` with its loops and caches, each of which may be killed, stopped or started at any moment. All of it runs
 * on a virtual clock from one seed, so a history that failed fails again.
 *
 * What must always hold is checked where it can break, at the moment a request is carried out; what was broken is in
 * `violations`.
 */
export class World implements WorldView {
  readonly clock = new VirtualClock();
  readonly random: SeededRandom;
  readonly api: ApiServer;
  readonly garbage: Garbage;
  readonly kubelet: Kubelet;
  readonly book: Book;
  readonly tenants: Tenant[] = [];
  readonly requests: SentRequest[] = [];
  readonly events: UserEvent[] = [];
  readonly violations: Violation[] = [];
  /** What was counted, e.g. `leaseLapses shop/orders`, and BatchQueues made known and forgotten. */
  readonly counted: string[] = [];
  readonly operators = new Map<string, Operator>();
  /** What each operator's connections are like; they outlive its processes. */
  readonly weather = new Map<string, Weather>();
  /** Why no pod starts at the moment. */
  startProblem: StartProblem | undefined;
  /** How often a node refuses a pod. */
  refusalChance = 0;
  /** Overrides how pods go. */
  course: ((pod: KubeObject) => Course) | undefined;
  actor = 'world';
  /** Since when everything is expected to be at rest, epoch ms. */
  restSinceMs = Number.POSITIVE_INFINITY;
  /** Everything works again, for good. */
  isHealed = false;
  /** No fault, no crash, no second operator: then nothing is forgiven. */
  isFair = true;
  /** SQS and the operator's process are sound, whatever Kubernetes does. */
  keepsLeases = true;
  readonly #invariants: readonly Invariant[];
  readonly #witnesses: readonly Partial<Witness>[];
  readonly #trace: ((line: string) => void) | undefined;
  readonly #startMs: number;
  #started = 0;

  constructor({ seed, invariants, trace }: WorldOptions) {
    this.random = new SeededRandom(seed);
    this.#trace = trace;
    this.#startMs = this.clock.now();
    this.api = new ApiServer(this.clock);
    this.book = new Book(this.api, this.clock, () => this.actor, {
      unreadable: (job) => this.#tell((witness) => witness.unreadable?.(job)),
      made: (run, job) => this.#tell((witness) => witness.made?.(run, job)),
      deleting: (run) => this.#tell((witness) => witness.deleting?.(run)),
      finished: (run) => this.#tell((witness) => witness.finished?.(run)),
      discharged: (run) => this.#tell((witness) => witness.discharged?.(run)),
    });
    this.garbage = new Garbage(this.api, this.clock, this.random);
    const { api, clock, random } = this;
    void new JobController({ api, clock, random });
    this.kubelet = new Kubelet({
      api,
      clock,
      random,
      course: (pod) => this.#courseOf(pod),
      ended: (pod, outcome) => this.book.noteOutcome(pod, outcome),
      startProblem: (pod) => this.startProblem ?? this.#missingPayload(pod) ?? this.#refusal(),
    });
    this.#invariants = invariants;
    this.#witnesses = invariants.flatMap(
      ({ watch, id, name }) => watch?.(this, (text) => this.broken(`${id} ${name}`, text)) ?? [],
    );
    api.watch(({ plural, type, object, before }) => {
      if (type === 'DELETED') this.#tell((witness) => witness.objectGone?.(plural, object));
      this.trace(() => traceLine(type, plural, object, before));
    });
  }

  /** Sets up an SQS queue for a BatchQueue. */
  addTenant(options: TenantOptions): Tenant {
    const { name, namespace = 'shop', fifo = false, maxReceiveCount, countsLagMs = 0 } = options;
    const deadLetterName = `${name}-dead${fifo ? '.fifo' : ''}`;
    const queueName = fifo ? `${name}.fifo` : name;
    const url = `https://sqs.${REGION}.amazonaws.com/${ACCOUNT}/${queueName}`;
    const arn = `arn:aws:sqs:${REGION}:${ACCOUNT}:${queueName}`;
    const model = new ModelQueue({
      clock: this.clock,
      queue: { namespace, serviceAccountName: 'default', url, arn },
      prefix: String(this.tenants.length + 1).padStart(8, '0'),
      deadLetterArn: maxReceiveCount === undefined ? undefined : arn.replace(queueName, deadLetterName),
      maxReceiveCount,
      countsLagMs,
      observer: {
        received: (message, before) => this.#tell((witness) => witness.received?.(message, before)),
        repeated: (message) => this.#tell((witness) => witness.repeated?.(message)),
        deleted: (message) => this.#tell((witness) => witness.deleted?.(message)),
        deadLettered: (message) => this.#tell((witness) => witness.deadLettered?.(message)),
        copied: (message) => this.#tell((witness) => witness.copied?.(message)),
        asked: (...asked) => this.#tell((witness) => witness.asked?.(...asked)),
      },
    });
    const tenant: Tenant = {
      name,
      namespace,
      model,
      manner: options.manner ?? 'plain',
      workMs: options.workMs ?? [5_000, 5_000],
      fates: new Map(),
      executions: new Map(),
      spec: {},
      limits: [],
      healed: false,
    };
    this.tenants.push(tenant);
    return tenant;
  }

  queueOf(messageId: string): ModelQueue | undefined {
    return this.tenants[Number(messageId.slice(0, 8)) - 1]?.model;
  }

  tenantOf(batchQueue: string): Tenant | undefined {
    return this.tenants.find(({ name }) => name === batchQueue);
  }

  /** Makes the BatchQueue, or replaces the spec of the one there is. */
  apply(tenant: Tenant, spec: object, image = 'worker:1'): void {
    const { name, namespace, model } = tenant;
    const { queue, jobTemplate, ...rest }: Record<string, unknown> = { ...spec };
    const template = { spec: { containers: [{ name: 'worker', image }] } };
    tenant.spec = {
      ...rest,
      queue: { ...Object(queue), url: model.ref.url },
      jobTemplate: { spec: { ...Object(Object(jobTemplate)['spec']), template } },
    };
    tenant.limits.push(Number(tenant.spec['maxConcurrentJobs'] ?? 10));
    this.disturb(`apply ${name}`);
    if (this.api.get(BATCH_QUEUES, namespace, name))
      this.api.update({ resource: BATCH_QUEUES, namespace, name }, (object) => {
        object['spec'] = tenant.spec;
      });
    else this.api.create(BATCH_QUEUES, namespace, { metadata: { name }, spec: tenant.spec });
  }

  batchQueue({ name, namespace }: Tenant): KubeObject | undefined {
    return this.api.get(BATCH_QUEUES, namespace, name);
  }

  jobs(): KubeObject[] {
    return this.api.list(JOBS).items;
  }

  pods(): KubeObject[] {
    return this.api.list(PODS).items;
  }

  revisions(): KubeObject[] {
    return this.api.list(REVISIONS).items;
  }

  send(tenant: Tenant, body: string, fate?: Fate, groupId?: string): string {
    const id = tenant.model.send(body, groupId);
    if (fate) tenant.fates.set(id, fate);
    this.trace(() => `sent ${id} to ${tenant.name}${groupId === undefined ? '' : ` group ${groupId}`}`);
    return id;
  }

  /** Starts an operator of this name; the one before has ended. */
  start(name = 'alpha'): Operator {
    const { clock, random, api } = this;
    this.#started += 1;
    const actor = `${name}-${this.#started}`;
    this.disturb(`operator ${actor} starts`);
    const operator = new Operator({
      name: actor,
      clock,
      random,
      api,
      queueAt: (url) => this.#queueAt(url),
      weather: this.weatherOf(name),
      log: this.#logOf(actor),
      onRequest: (what) => {
        this.requests.push({ what, atMs: clock.now(), by: actor });
        this.trace(() => `${actor}: ${what}`);
      },
      onEvent: (event) => {
        this.events.push(event);
        this.#tell((witness) => witness.told?.(event));
        this.trace(() => `${actor} tells of ${event.regarding.name}: ${event.reason}: ${event.note}`);
      },
      as: (carryOut, isAnswered = true) => this.#as(isAnswered ? actor : `${actor} (unanswered)`, carryOut),
      onCount: (line) => void this.counted.push(line),
      onStuck: () => this.broken('I11 no-hot-loop', `${actor} goes on without letting time pass`),
      onCrash: () => this.disturb(`operator ${actor} crashed`),
    });
    this.operators.set(name, operator);
    return operator;
  }

  weatherOf(name: string): Weather {
    const known = this.weather.get(name) ?? fairWeather();
    this.weather.set(name, known);
    return known;
  }

  /** Everything works again, in the world and in the work. */
  heal(): void {
    this.disturb('everything works again');
    this.isHealed = true;
    for (const weather of this.weather.values()) Object.assign(weather, fairWeather());
    this.startProblem = undefined;
    this.refusalChance = 0;
    this.api.admission = () => undefined;
    for (const tenant of this.tenants) tenant.healed = true;
    for (const operator of this.operators.values()) operator.calm();
    this.kubelet.endHanging();
    for (const { metadata } of this.jobs())
      if (metadata.labels?.['mine']) this.api.delete(JOBS, metadata.namespace ?? '', metadata.name);
  }

  kill(name = 'alpha'): void {
    this.disturb(`operator ${name} killed`);
    this.operators.get(name)?.kill();
  }

  /** SIGTERM; resolves when the operator has ended by itself. */
  async drain(name = 'alpha'): Promise<void> {
    this.disturb(`operator ${name} told to end`);
    const operator = this.operators.get(name);
    operator?.drain(() => undefined);
    await this.until('the operator ends', () => operator?.alive !== true, 70_000);
  }

  /** How many requests of this kind were sent since then. */
  countSince(atMs: number, what: RegExp): number {
    return this.requests.filter((request) => request.atMs >= atMs && what.test(request.what)).length;
  }

  /** Lets time pass until this is so; throws when it is not after that time. */
  async until(what: string, holds: () => boolean, withinMs: number): Promise<void> {
    const endMs = this.clock.now() + withinMs;
    while (!holds()) {
      if (this.clock.now() >= endMs) throw new Error(`not within ${withinMs} ms: ${what}`);
      await this.clock.advance(500);
    }
  }

  /** Something happened that is not the operator's doing. */
  disturb(what: string): void {
    this.trace(() => `*** ${what}`);
    this.#tell((witness) => witness.disturbed?.(what));
  }

  /** Looks at what must hold once everything has come to rest. */
  checkEnd(): void {
    for (const { atEnd, id, name } of this.#invariants)
      atEnd?.(this, (text) => this.broken(`${id} ${name}`, text));
  }

  broken(invariant: string, text: string): void {
    this.trace(() => `!!! ${invariant}: ${text}`);
    this.violations.push({ invariant, text, atMs: this.clock.now() - this.#startMs });
  }

  trace(line: () => string): void {
    if (!this.#trace) return;
    const seconds = ((this.clock.now() - this.#startMs) / 1_000).toFixed(3).padStart(10);
    this.#trace(`${seconds} ${line()}`);
  }

  #tell(call: (witness: Partial<Witness>) => void): void {
    for (const witness of this.#witnesses) call(witness);
  }

  #as<T>(name: string, carryOut: () => T): T {
    const before = this.actor;
    this.actor = name;
    try {
      return carryOut();
    } finally {
      this.actor = before;
    }
  }

  #queueAt(url: string): ModelQueue {
    const tenant = this.tenants.find(
      ({ model, name }) => model.ref.url === url || url.includes(`/${name}-dead`),
    );
    if (!tenant) throw new Error(`no queue at ${url}`);
    return tenant.model;
  }

  #logOf(name: string): Log {
    return traceLog(this.#trace && ((line) => this.trace(() => `${name} logs ${line}`)));
  }

  #courseOf(pod: KubeObject): Course {
    if (this.course) return this.course(pod);
    const run = this.book.runOfJob(jobOf(pod).metadata.uid ?? '');
    const tenant = run && this.tenantOf(run.batchQueue);
    // A Job that is none of ours.
    if (!run || !tenant) return { runsForMs: 1_000, outcome: outcomeOf([], 'plain', this.random) };
    const units = run.units.filter(({ index }) => !run.isIndexed || index === indexOf(pod));
    const deeds = units.map(({ messageId }) => this.#deedOf(tenant, messageId));
    const runsForMs = deeds.includes('hang')
      ? Number.POSITIVE_INFINITY
      : this.random.between(...tenant.workMs);
    const manner = run.isIndexed ? 'plain' : tenant.manner;
    return { runsForMs, outcome: outcomeOf(deeds, manner, this.random) };
  }

  /** Somebody works on the message once more. */
  #deedOf(tenant: Tenant, messageId: string): Deed {
    const execution = tenant.executions.get(messageId) ?? 0;
    tenant.executions.set(messageId, execution + 1);
    const fate = tenant.healed ? undefined : tenant.fates.get(messageId);
    return fate ? deedOf(fate, execution) : 'succeed';
  }

  #refusal(): StartProblem | undefined {
    return this.refusalChance > 0 && this.random.chance(this.refusalChance) ? { kind: 'refused' } : undefined;
  }

  /** The kubelet mounts nothing that is not there. */
  #missingPayload(pod: KubeObject): StartProblem | undefined {
    const contents = contentsOf(
      { metadata: pod.metadata, spec: { template: { metadata: pod.metadata, spec: pod['spec'] } } },
      this.api,
    );
    if (contents) return undefined;
    return { kind: 'waiting', reason: 'ContainerCreating', message: 'MountVolume.SetUp failed' };
  }
}

function traceLine(type: string, plural: string, object: KubeObject, before: KubeObject | undefined): string {
  const { name, finalizers = [], deletionTimestamp } = object.metadata;
  const status = Object(object['status']);
  const conditions: unknown[] = plural === 'batchqueues' ? [] : (status['conditions'] ?? []);
  const words = [
    deletionTimestamp === undefined ? '' : 'deleting',
    finalizers.length > 0 ? `[${finalizers.join(' ')}]` : '',
    status['phase'] ?? '',
    conditions.map((condition) => Object(condition)['type']).join('+'),
    before ? '' : 'new',
  ];
  return `${type.toLowerCase()} ${plural} ${name} ${words.filter(Boolean).join(' ')}`;
}
