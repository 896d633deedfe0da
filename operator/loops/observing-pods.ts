import { chunksOf } from '../chunks.ts';
import { isConclusive, wantsPods } from '../plan/claim.ts';
import type { Claim, PodsOfJob } from '../plan/job-facts.ts';
import { hasEnded, podsOfJobFrom } from '../plan/worker-result.ts';
import type { KubeObject } from '../ports.ts';
import { PODS } from '../world.ts';
import type { Subject, World } from './interpreter.ts';
import { podsOf } from './settling.ts';

/** Jobs whose pods are read with one list: their uids still fit into a URL, and no pod of another Job is sent along. */
const JOBS_PER_LIST = 50;
const CONTROLLER_UID = 'batch.kubernetes.io/controller-uid';

export interface ObservedPods {
  /** By Job name; a Job whose pods could not be listed is missing: an unread list is not zero pods. */
  readonly pods: ReadonlyMap<string, PodsOfJob>;
  readonly failures: readonly unknown[];
}

/**
 * The pods of the Jobs that a decision needs them for. The cache will do when it has seen them end; otherwise they are
 * listed, because the watch of pods may be behind the one of Jobs. What the cache has seen end counts still if it is
 * gone by then: nobody else may tell how it ended. One list that fails spoils only what it was for, and one without an
 * answer keeps a turn waiting for a second.
 */
export async function observePods(
  claims: readonly Claim[],
  { namespace, name, session }: Pick<Subject, 'namespace' | 'name' | 'session'>,
  world: World,
): Promise<ObservedPods> {
  const settling = new Set(session.settlementsUnderWay.jobs());
  const wanted = claims.filter((claim) => wantsPods(claim) && !settling.has(claim.job.metadata.name));
  if (wanted.length === 0) return NOTHING;
  const cached = byJob(world.caches.pods.byIndex(`${namespace}/${name}`));
  const pods = new Map<string, PodsOfJob>();
  const unclear: Claim[] = [];
  for (const claim of wanted) {
    const known = podsOfJobFrom(cached.get(claim.job.metadata.uid) ?? []);
    if (isConclusive(claim, known)) pods.set(claim.job.metadata.name, known);
    else unclear.push(claim);
  }
  if (unclear.length === 0) return { pods, failures: [] };
  const listed = await session.podsRead.read(() => listPods(unclear, { namespace, cached }, world));
  if (!listed) return { pods, failures: [] };
  const isMissing = ({ job }: Claim) => !listed.pods.has(job.metadata.name);
  // Of an earlier list, which came late: these were not asked for yet.
  if (listed.failures.length === 0 && unclear.some(isMissing)) session.lookAgain();
  return { pods: new Map([...pods, ...listed.pods]), failures: listed.failures };
}

const NOTHING: ObservedPods = { pods: new Map(), failures: [] };

type PodsByJob = ReadonlyMap<string | undefined, readonly KubeObject[]>;

async function listPods(
  claims: readonly Claim[],
  { namespace, cached }: { readonly namespace: string; readonly cached: PodsByJob },
  { kube }: World,
): Promise<ObservedPods> {
  const pods = new Map<string, PodsOfJob>();
  const failures: unknown[] = [];
  await Promise.all(
    lists(claims, namespace).map(async ({ of, options }) => {
      try {
        const listed = byJob((await kube.list(PODS, options)).items);
        for (const { job } of of) {
          const { name: jobName, uid } = job.metadata;
          pods.set(jobName, podsOfJobFrom(withEnded(listed.get(uid), cached.get(uid))));
        }
      } catch (error) {
        failures.push(error);
      }
    }),
  );
  return { pods, failures };
}

interface PodList {
  readonly of: readonly Claim[];
  readonly options: { namespace: string; labelSelector: string };
}

function lists(claims: readonly Claim[], namespace: string): readonly PodList[] {
  return chunksOf(claims, JOBS_PER_LIST).map((of) => {
    const uids = of.map(({ job }) => job.metadata.uid ?? '');
    return { of, options: podsOf(namespace, uids) };
  });
}

/** Pods that the cache has seen end, and that are gone by now, beside those that are listed. */
function withEnded(
  listed: readonly KubeObject[] = [],
  cached: readonly KubeObject[] = [],
): readonly KubeObject[] {
  const known = new Set(listed.map(({ metadata }) => metadata.uid));
  return [...listed, ...cached.filter((pod) => hasEnded(pod) && !known.has(pod.metadata.uid))];
}

function byJob(pods: readonly KubeObject[]): PodsByJob {
  return Map.groupBy(pods, ({ metadata }) => metadata.labels?.[CONTROLLER_UID]);
}
