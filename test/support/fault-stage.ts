import { ClusterHistory } from '../crash/cluster-history.ts';
import type { NamespaceHistory } from '../crash/namespace-history.ts';
import { KubernetesProxy } from '../faults/kubernetes-proxy.ts';
import { SqsProxy } from '../faults/sqs-proxy.ts';
import { eventually } from './eventually.ts';
import { OperatorBundle } from './operator-bundle.ts';
import type { OperatorProcess } from './operator-process.ts';
import { OperatorStage } from './operator-stage.ts';
import { QueueCase, type QueueCaseOptions } from './queue-case.ts';

/** Many times what an idle machine needs, in milliseconds. */
const READY_WITHIN_MS = 90_000;

/** A BatchQueue with an operator of its own, which reaches both servers through proxies of its own. */
export interface FaultCase {
  readonly queue: QueueCase;
  readonly kubernetes: KubernetesProxy;
  readonly sqs: SqsProxy;
  readonly operator: OperatorProcess;
  /** What has happened to its Jobs. */
  readonly past: NamespaceHistory;
}

/** Whole operators on bad days: every case is alone with its faults. */
export class FaultStage {
  readonly stage: OperatorStage;
  readonly #history: ClusterHistory;
  readonly #bundle: OperatorBundle;
  readonly #proxies: { stop(): Promise<void> }[] = [];

  private constructor(stage: OperatorStage, history: ClusterHistory, operatorBundle: OperatorBundle) {
    this.stage = stage;
    this.#history = history;
    this.#bundle = operatorBundle;
  }

  static async set(): Promise<FaultStage> {
    const stage = await OperatorStage.set([]);
    return new FaultStage(stage, await ClusterHistory.start(stage.client), await OperatorBundle.make());
  }

  /** A case, ready for messages. `beforehand` is done when the proxies stand and no operator has started. */
  async begin(
    name: string,
    options: QueueCaseOptions = {},
    beforehand: (proxies: Pick<FaultCase, 'kubernetes' | 'sqs'>) => void = () => undefined,
  ): Promise<FaultCase> {
    await this.stage.addCase(name);
    const queue = new QueueCase(this.stage, name, { maxReceiveCount: 10, ...options });
    await queue.createQueue();
    await queue.create();
    const past = this.#history.of(queue.namespace);
    const begun = { queue, past, ...(await this.startOperator(name, beforehand)) };
    await queue.whenCondition('Ready', { status: 'True' }, READY_WITHIN_MS);
    return begun;
  }

  /** An operator for a case behind new proxies; its first request goes through them. */
  async startOperator(
    name: string,
    beforehand: (proxies: Pick<FaultCase, 'kubernetes' | 'sqs'>) => void = () => undefined,
  ): Promise<Pick<FaultCase, 'kubernetes' | 'sqs' | 'operator'>> {
    const kubernetes = await KubernetesProxy.start(this.stage.operatorKubeconfigPath());
    const sqs = await SqsProxy.start(this.stage.emulator.endpoint, { pollSliceSeconds: 1 });
    this.#proxies.push(kubernetes, sqs);
    beforehand({ kubernetes, sqs });
    const program = this.#bundle.program();
    const operator = await this.stage.launchOperator({ cases: [name], through: kubernetes, sqs, program });
    return { kubernetes, sqs, operator };
  }

  async clear(): Promise<void> {
    await this.#history.stop();
    await this.stage.clear();
    await Promise.all(this.#proxies.map((proxy) => proxy.stop()));
    await this.#bundle.remove();
  }
}

/** What must be true in the end, whatever was done to the operator: all is settled, nothing was lost or run twice. */
export async function whenEachRanOnce(
  { queue, past }: Pick<FaultCase, 'queue' | 'past'>,
  ids: readonly string[],
  timeoutMs = 120_000,
): Promise<void> {
  await eventually(
    () => past.jobs().map(({ name, state, isOwing }) => ({ name, state, isOwing })),
    (jobs) => jobs.length >= ids.length && jobs.every(({ state, isOwing }) => state !== 'active' && !isOwing),
    { what: `${ids.length} settled Jobs`, timeoutMs },
  );
  await queue.whenQueueIsEmpty();
  const runs = ids.map((id) => past.jobsOf(id).map(({ state }) => state));
  const problems = [
    ...past.violations(),
    ...runs.filter((states) => states.join() !== 'succeeded').map((states) => `ran as [${states.join()}]`),
    ...((await queue.deadLetters()) > 0 ? ['there are dead letters'] : []),
  ];
  if (problems.length > 0) throw new Error(problems.join('\n'));
}
