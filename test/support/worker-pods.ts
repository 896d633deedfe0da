import type { RestClient } from '../../operator/kube/rest-client.ts';
import type { KubeObject } from '../../operator/ports.ts';
import { PODS } from '../../operator/world.ts';
import { eventually } from './eventually.ts';

/**
 * Plays the node: the control plane of the tests has none, so pods stay Pending until one of these says what a kubelet
 * would have said. The Job's own status is the real Job controller's.
 */

/** How a container ended. */
export interface Ending {
  readonly exitCode: number;
  /** What it left in its termination log. */
  readonly message?: string;
}

/** The pod runs and is ready. */
export async function runPod(client: RestClient, job: KubeObject): Promise<void> {
  const pod = await podOf(client, job);
  await patchStatus(client, pod, {
    phase: 'Running',
    conditions: [{ type: 'Ready', status: 'True' }],
    containerStatuses: [containerStatus({ running: { startedAt: new Date().toISOString() } }, true)],
  });
}

/** The pod has a node but its container waits, for this reason of the kubelet. */
export async function blockPod(
  client: RestClient,
  job: KubeObject,
  waiting: { readonly reason: string; readonly message: string },
): Promise<void> {
  const pod = await podOf(client, job);
  await patchStatus(client, pod, {
    phase: 'Pending',
    conditions: [{ type: 'PodScheduled', status: 'True' }],
    containerStatuses: [containerStatus({ waiting }, false)],
  });
}

/** The scheduler has found no node for the pod, since long ago. */
export async function leaveUnscheduled(client: RestClient, job: KubeObject, message: string): Promise<void> {
  const pod = await podOf(client, job);
  const lastTransitionTime = '2026-01-01T00:00:00Z';
  const condition = {
    type: 'PodScheduled',
    status: 'False',
    reason: 'Unschedulable',
    message,
    lastTransitionTime,
  };
  await patchStatus(client, pod, { phase: 'Pending', conditions: [condition] });
}

/** The pod has ended: phase Succeeded for exit code 0, else Failed. The Job controller ends the Job within seconds. */
export async function endPod(client: RestClient, job: KubeObject, ending: Ending): Promise<void> {
  await endThisPod(client, await podOf(client, job), ending);
}

/** The same for a pod that is at hand. */
export async function endThisPod(client: RestClient, pod: KubeObject, ending: Ending): Promise<void> {
  const { exitCode, message = '' } = ending;
  const reason = exitCode === 0 ? 'Completed' : 'Error';
  const now = new Date().toISOString();
  const terminated = { exitCode, reason, message, startedAt: now, finishedAt: now };
  await patchStatus(client, pod, {
    phase: exitCode === 0 ? 'Succeeded' : 'Failed',
    conditions: [{ type: 'Ready', status: 'False' }],
    containerStatuses: [containerStatus({ terminated }, false)],
  });
}

/** The pod of one index of an Indexed Job has ended. */
export async function endIndex(
  client: RestClient,
  job: KubeObject,
  index: number,
  ending: Ending,
): Promise<void> {
  await endThisPod(client, await podOfIndex(client, job, index), ending);
}

/** The node will not have the pod of one index of an Indexed Job. */
export async function refuseIndex(client: RestClient, job: KubeObject, index: number): Promise<void> {
  const pod = await podOfIndex(client, job, index);
  const message = 'Pod was rejected: Allocate failed due to no healthy devices present';
  await patchStatus(client, pod, { phase: 'Failed', reason: 'UnexpectedAdmissionError', message });
}

async function podOfIndex(client: RestClient, job: KubeObject, index: number): Promise<KubeObject> {
  const isOpen = (pod: KubeObject) =>
    indexOf(pod) === index && !['Failed', 'Succeeded'].includes(Object(pod['status']).phase);
  const pods = await eventually(
    async () => (await podsOf(client, job)).filter(isOpen),
    ({ length }) => length > 0,
    { what: `a pod of index ${index} of Job ${job.metadata.name}` },
  );
  const [pod] = pods;
  if (pod === undefined) throw new Error('the list was just seen to hold a pod');
  return pod;
}

function indexOf({ metadata }: KubeObject): number {
  return Number(metadata.annotations?.['batch.kubernetes.io/job-completion-index'] ?? Number.NaN);
}

/** The pods of a Job. */
export async function podsOf(client: RestClient, job: KubeObject): Promise<readonly KubeObject[]> {
  const { namespace, uid = '' } = job.metadata;
  const labelSelector = `batch.kubernetes.io/controller-uid=${uid}`;
  return (await client.list(PODS, { namespace, labelSelector })).items;
}

async function podOf(client: RestClient, job: KubeObject): Promise<KubeObject> {
  const pods = await eventually(
    () => podsOf(client, job),
    ({ length }) => length === 1,
    { what: `one pod of Job ${job.metadata.name}` },
  );
  const [pod] = pods;
  if (pod === undefined) throw new Error('the list was just seen to hold one pod');
  return pod;
}

function containerStatus(state: object, isReady: boolean): object {
  return { name: 'worker', image: 'worker', imageID: 'worker', ready: isReady, restartCount: 0, state };
}

async function patchStatus(client: RestClient, { metadata }: KubeObject, status: object): Promise<void> {
  const options = { type: 'merge', subresource: 'status' } as const;
  await client.patch(PODS, metadata.namespace, metadata.name, { status }, options);
}
